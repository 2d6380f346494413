//! Spoken clips on disk, so that a restart does not speak everything anew. One file per clip, raw
//! 16-bit little-endian samples, named by the hash of what was asked. A cache: every failure is a miss.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tandem_model::entropy;
use tandem_model::ports::Clip;

const EXTENSION: &str = "pcm";
/// After an eviction this share of the bound is left, so that not every clip evicts.
const KEPT_PERCENT: u64 = 80;

/// A bounded folder of clips. Blocking: call it off the async threads.
#[derive(Debug)]
pub(super) struct ClipFolder {
    folder: PathBuf,
    bytes_max: u64,
}

impl ClipFolder {
    pub(super) fn new(folder: &Path, bytes_max: u64) -> Self {
        Self { folder: folder.to_owned(), bytes_max }
    }

    /// The clip with this name.
    pub(super) fn find(&self, name: &str) -> Option<Clip> {
        let bytes = fs::read(self.path(name)).ok()?;
        if bytes.len() % 2 != 0 {
            return None;
        }
        let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        Some(Clip { samples })
    }

    /// Keeps a clip: written beside and renamed, so a reader never sees half of one.
    pub(super) fn keep(&self, name: &str, clip: &Clip) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let bytes: Vec<u8> = clip.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        if bytes.len() as u64 > self.bytes_max {
            return Ok(());
        }
        let unfinished = self.folder.join(format!("{name}.{:016x}.tmp", entropy::number()));
        let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, self.path(name)));
        if written.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        written?;
        self.evict()
    }

    /// Removes the oldest files when there are too many bytes.
    fn evict(&self) -> std::io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        if total <= self.bytes_max {
            return Ok(());
        }
        files.sort();
        for (_, length, path) in files {
            if total <= self.bytes_max * KEPT_PERCENT / 100 {
                break;
            }
            fs::remove_file(path)?;
            total -= length;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(EXTENSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_come_back_and_the_folder_stays_within_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let folder = ClipFolder::new(&directory.path().join("speech-cache"), 1_000);
        let clip = Clip { samples: (-50..50).collect() };
        assert!(folder.find("a").is_none());
        folder.keep("a", &clip).unwrap();
        assert_eq!(folder.find("a"), Some(clip.clone()));
        for n in 0..20 {
            folder.keep(&format!("clip{n}"), &clip).unwrap();
        }
        let total: u64 =
            fs::read_dir(&folder.folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(total <= 1_000, "{total}");
        assert!(folder.find("clip19").is_some(), "the newest stays");
        folder.keep("huge", &Clip { samples: vec![0; 501] }).unwrap();
        assert!(folder.find("huge").is_none());
    }
}
