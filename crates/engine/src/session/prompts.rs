//! Prompts as the media plane plays them: µ-law, encoded once and shared by every call that plays
//! the same clip.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tandem_media::Material;
use tandem_media::g711::Law;
use tandem_model::ports::Clip;

/// Most clips whose encoding is remembered.
const MAX_PROMPTS: usize = 512;

/// Encoded clips by the identity of the decoded one.
#[derive(Default)]
pub(crate) struct Prompts {
    encoded: RefCell<HashMap<usize, (Weak<Clip>, Arc<[u8]>)>>,
}

impl Prompts {
    /// The clip as a worker plays it.
    pub(crate) fn material(&self, clip: &Arc<Clip>) -> Material {
        let mut encoded = self.encoded.borrow_mut();
        let key = Arc::as_ptr(clip).addr();
        // An address is only the same clip while that clip lives.
        if let Some((owner, bytes)) = encoded.get(&key)
            && owner.upgrade().is_some_and(|owner| Arc::ptr_eq(&owner, clip))
        {
            return Material::Ulaw(Arc::clone(bytes));
        }
        if encoded.len() >= MAX_PROMPTS {
            encoded.retain(|_, (owner, _)| owner.strong_count() > 0);
        }
        let mut bytes = vec![Law::Ulaw.silence(); clip.samples.len()];
        Law::Ulaw.encode_into(&clip.samples, &mut bytes);
        let bytes: Arc<[u8]> = bytes.into();
        if encoded.len() < MAX_PROMPTS {
            encoded.insert(key, (Arc::downgrade(clip), Arc::clone(&bytes)));
        }
        Material::Ulaw(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_share_one_encoding() {
        let prompts = Prompts::default();
        let clip = Arc::new(Clip { samples: vec![0, 1000, -1000] });
        let (Material::Ulaw(one), Material::Ulaw(two)) = (prompts.material(&clip), prompts.material(&clip))
        else {
            panic!("prompts are µ-law");
        };
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(one.len(), 3);
    }
}
