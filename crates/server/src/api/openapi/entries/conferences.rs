//! Conferences (REST reference §11): told, read, and not built.

use tandem_model::ErrorCode::NotBuilt;

use crate::api::openapi::operation::{Operation, delete, get, post};

pub(super) fn entries() -> Vec<Operation> {
    let all = "/Account/{auth_id}/Conference";
    let room = "/Account/{auth_id}/Conference/{name}";
    let recorded = format!("{room}/Record");
    let member = |action: &str| format!("{room}/Member/{{member_id}}{action}");
    let mut entries = vec![
        get(all, "List conferences"),
        delete(all, "End all conferences"),
        get(room, "Read a conference"),
        delete(room, "End a conference"),
        post(&recorded, "Record a conference").body(
            r#"file_format:mp3|wav="wav" recording_callback_url:url recording_callback_method:GET|POST transcription_url:url"#,
        ),
        delete(&recorded, "Stop recording a conference"),
        delete(&member(""), "Hang up a member"),
        post(&member("/Kick"), "Send a member on to what follows its conference"),
        post(&member("/Play"), "Play audio to a member").body(r#"url!:url="https://shop.example/hold.wav""#),
        post(&member("/Speak"), "Speak to a member")
            .body(r#"text!:str(3000)="One moment please" voice:str(64) language:str(32)"#),
    ];
    let state = [
        ("/Mute", "Mute a member", "Unmute a member"),
        ("/Deaf", "Make a member deaf", "Let a member hear again"),
    ];
    for (action, done, undone) in state {
        entries.push(post(&member(action), done));
        entries.push(delete(&member(action), undone));
    }
    for (action, undone) in
        [("/Play", "Stop playing audio to a member"), ("/Speak", "Stop speaking to a member")]
    {
        entries.push(delete(&member(action), undone));
    }
    let told = entries.into_iter().map(|entry| {
        entry.note("Not built: conferences come with their media.").answers(501, "").refuses(&[NotBuilt])
    });
    told.map(|entry| entry.tag("Conferences")).collect()
}
