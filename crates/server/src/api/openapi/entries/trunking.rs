//! Trunks and what hangs on them (REST reference §9).

use tandem_model::ErrorCode::{Conflict, DuplicateUsername, NotFound, TrunkNotFound};

use crate::api::openapi::operation::{Operation, delete, get, post, put};

const TRUNK: &str = "trunk_id:uuid account_id:id name trunk_domain trunk_status:active|disabled secure:bool
  trunk_direction:inbound|outbound|both concurrent_calls_limit:int cps_limit:int description transport:udp|tcp|tls
  recording:bool enable_transcription:bool pii_redaction:bool webhook_method recording_webhook_enabled:bool
  created_at:time updated_at:time";
const TRUNK_ITEM: &str =
    "credential_uuid? primary_uri_uuid? inbound_destination? pii_entity_types? webhook_url?
  status_callback_events*:[Ring|StartApp|Hangup|recording.completed|call.failed] number_format* caller_id*";
const TRUNK_FIELDS: &str = "description:str(500) trunk_direction:inbound|outbound|both transport:udp|tcp|tls
  trunk_status:active|enabled|disabled|inactive secure:bool inbound_destination:str(255)
  concurrent_calls_limit:int(0..1000)=10 cps_limit:int(0..100)=2 credential_uuid:str(64) ipacl_uuid:str(64)
  primary_uri_uuid:str(64) fallback_uri_uuid:str(64) recording:bool enable_transcription:bool pii_redaction:bool
  pii_entity_types:str(500) webhook_url:url webhook_method:GET|POST recording_webhook_enabled:bool
  status_callback_events:[Ring|StartApp|Hangup|recording.completed|call.failed]
  number_format:e164-plus|e164|national caller_id:e164";

const CREDENTIAL: &str =
    "{id:uuid account_id:id username password realm enabled:bool created_at:time updated_at:time}";
const ACL: &str =
    "{id:uuid account_id:id ip_address description enabled:bool created_at:time updated_at:time}";
const URI: &str =
    "{id:uuid account_id:id uri priority:int weight:int enabled:bool transport description created_at:time
  updated_at:time}";

fn window(item: &str) -> String {
    format!("{{meta:{{limit:int offset:int total:int total_count-python:int}} objects:[{item}]}}")
}

fn trunks() -> Vec<Operation> {
    let list = "/Account/{auth_id}/trunks";
    let one = "/Account/{auth_id}/trunks/{trunk_id}";
    let entries = vec![
        get(list, "List trunks, newest first")
            .query("limit:int(1..100)=20 offset:int(0..)=0")
            .answers(200, &window(&format!("{{{TRUNK} {TRUNK_ITEM}}}"))),
        post(list, "Create a trunk")
            .note("Its domain is made of its id. username and password make a credential with it, ip_whitelist access entries.")
            .body(&format!(r#"name!:str(255)="Office PBX" {TRUNK_FIELDS} username:str(128) password:str(128)"#))
            .answers(201, &format!("{{{TRUNK}}}")),
        get(one, "Read a trunk").answers(200, &format!("{{{TRUNK}}}")).refuses(&[TrunkNotFound]),
        put(one, "Change a trunk: what is not sent stays")
            .body(&format!(r#"name:str(255)="Office" {TRUNK_FIELDS}"#))
            .answers(200, &format!("{{{TRUNK}}}"))
            .refuses(&[TrunkNotFound, Conflict]),
        delete(one, "Delete a trunk that carries no calls").answers(204, "").refuses(&[TrunkNotFound, Conflict]),
        get("/Account/{auth_id}/trunks/{trunk_id}/signing-secret", "Read the secret that signs the trunk's events, once")
            .answers(200, "{trunk_id:uuid signing_secret}")
            .refuses(&[TrunkNotFound])
            .refuses_as(410, Conflict),
        post("/Account/{auth_id}/trunks/{trunk_id}/signing-secret/rotate", "Give the trunk a new signing secret")
            .note("The old one signs beside it for 24 hours.")
            .answers(200, "{trunk_id:uuid signing_secret previous_valid_until:time}")
            .refuses(&[TrunkNotFound]),
    ];
    entries.into_iter().map(|entry| entry.tag("Trunks")).collect()
}

/// What hangs on trunks is reached by two spellings.
fn hanging(
    name: &str,
    tag: &'static str,
    words: [&'static str; 5],
    shape: &str,
    new: &str,
    change: &str,
    taken: bool,
) -> Vec<Operation> {
    let mut entries = Vec::new();
    for prefix in ["/Account/{auth_id}", "/Account/{auth_id}/trunks"] {
        let (list, one) = (format!("{prefix}/{name}"), format!("{prefix}/{name}/{{id}}"));
        let create = post(&list, words[1]).body(new).answers(201, shape).refuses(&[TrunkNotFound]);
        let [read, update, remove] = [get(&one, words[2]), put(&one, words[3]), delete(&one, words[4])];
        entries.extend([
            get(&list, words[0])
                .query("limit:int(1..100)=20 offset:int(0..)=0 trunk_id:uuid")
                .answers(200, &window(shape)),
            if taken { create.refuses(&[DuplicateUsername]) } else { create },
            read.answers(200, shape).refuses(&[NotFound]),
            update.body(change).answers(200, shape).refuses(&[NotFound]),
            if taken { remove.refuses(&[Conflict]) } else { remove }.answers(204, "").refuses(&[NotFound]),
        ]);
    }
    entries.into_iter().map(|entry| entry.tag(tag)).collect()
}

pub(super) fn entries() -> Vec<Operation> {
    let mut entries = trunks();
    entries.extend(hanging(
        "credentials",
        "Trunk credentials",
        [
            "List credentials, newest first",
            "Create a credential",
            "Read a credential",
            "Change a credential: the user name stays",
            "Delete a credential whose trunk carries no calls",
        ],
        CREDENTIAL,
        r#"username!:str(128)="pbx7" password!:str(128)="Trunk-pass-1" trunk_id:uuid="{trunk_id}" enabled:bool=true
          description:str(500)="Office""#,
        r#"password:str(128)="Trunk-pass-2" enabled:bool description:str(500)="Branch""#,
        true,
    ));
    entries.extend(hanging(
        "ip-acl",
        "Trunk access lists",
        [
            "List access entries, newest first",
            "Let an address or network in",
            "Read an access entry",
            "Change an access entry",
            "Delete an access entry",
        ],
        ACL,
        r#"ip_address!:str(64)="9.9.9.9" name:str(500)="Office" trunk_id:uuid="{trunk_id}" enabled:bool=true"#,
        r#"ip_address:str(64)="9.9.9.10" name:str(500) enabled:bool"#,
        false,
    ));
    entries.extend(hanging(
        "origination-uris",
        "Origination URIs",
        [
            "List origination URIs, newest first",
            "Add a place for a trunk's calls",
            "Read an origination URI",
            "Change an origination URI",
            "Delete an origination URI",
        ],
        URI,
        r#"sip_uri!:str(255)="sip:pbx.shop.example:5060" priority:int(0..65535)=1 weight:int(0..65535)=10
          trunk_id:uuid="{trunk_id}" enabled:bool=true description:str(500)="Main""#,
        "sip_uri:str(255) priority:int(0..65535)=2 weight:int(0..65535) enabled:bool description:str(500)",
        false,
    ));
    entries
}
