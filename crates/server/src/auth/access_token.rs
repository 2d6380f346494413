//! Access tokens of sessions: JWTs (RFC 7519) of one algorithm, HS256, under a key derived from the master key and
//! named by `kid`. They carry the account and its epoch and are good for minutes; nothing is kept of them. The
//! header's `alg` is compared, never obeyed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tandem_model::{AccountId, entropy};

use super::Vault;

/// Who gives them.
const ISSUER: &str = "tandem";
/// Longest token looked at.
const TOKEN_MAX: usize = 2048;

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadToken {
    /// Not one of ours, or changed.
    Forged,
    /// It was good until lately.
    Expired,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) account: AccountId,
    pub(super) epoch: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    iss: String,
    sub: String,
    epoch: i64,
    iat: i64,
    exp: i64,
    jti: String,
}

/// A token for an account, good for `life`.
pub(super) fn issue(
    vault: &Vault,
    account: &AccountId,
    epoch: i64,
    now: Timestamp,
    life: SignedDuration,
) -> String {
    let header = Header { alg: "HS256".to_owned(), typ: "JWT".to_owned(), kid: key_id(vault) };
    let body = Body {
        iss: ISSUER.to_owned(),
        sub: account.as_str().to_owned(),
        epoch,
        iat: now.as_second(),
        exp: (now + life).as_second(),
        jti: hex::encode(entropy::bytes::<12>()),
    };
    let signed = format!("{}.{}", encoded(&header), encoded(&body));
    let signature = URL_SAFE_NO_PAD.encode(mac(vault, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// Reads a token that is good at `now`.
pub(super) fn read(vault: &Vault, token: &str, now: Timestamp) -> Result<Claims, BadToken> {
    if token.len() > TOKEN_MAX {
        return Err(BadToken::Forged);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Forged)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadToken::Forged)?;
    mac(vault, signed).verify_slice(&signature).map_err(|_| BadToken::Forged)?;
    let (header, body) = signed.split_once('.').ok_or(BadToken::Forged)?;
    let header: Header = decoded(header)?;
    let body: Body = decoded(body)?;
    if header.alg != "HS256" || header.kid != key_id(vault) || body.iss != ISSUER {
        return Err(BadToken::Forged);
    }
    if body.exp <= now.as_second() {
        return Err(BadToken::Expired);
    }
    Ok(Claims { account: AccountId::new(&body.sub), epoch: body.epoch })
}

/// The key's name: tells a token of another master key from one that was changed, and nothing of the key.
fn key_id(vault: &Vault) -> String {
    hex::encode(&Sha256::digest([b"kid ".as_slice(), &vault.session_key()].concat())[..4])
}

fn mac(vault: &Vault, signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&vault.session_key()).expect("HMAC takes any key");
    mac.update(signed.as_bytes());
    mac
}

fn encoded(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("texts and numbers are always JSON"))
}

fn decoded<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Forged)?;
    serde_json::from_slice(&bytes).map_err(|_| BadToken::Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: SignedDuration = SignedDuration::from_mins(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_token_says_whose_it_is_until_its_last_second() {
        let vault = Vault::from_master(&[7; 32]);
        let token = issue(&vault, &AccountId::new("MA_A"), 3, at(0), LIFE);
        let claims = Claims { account: AccountId::new("MA_A"), epoch: 3 };
        assert_eq!(read(&vault, &token, at(0)), Ok(claims.clone()));
        assert_eq!(read(&vault, &token, at(1799)), Ok(claims));
        assert_eq!(read(&vault, &token, at(1800)), Err(BadToken::Expired));
        assert_ne!(token, issue(&vault, &AccountId::new("MA_A"), 3, at(0), LIFE));
    }

    #[test]
    fn nothing_that_was_changed_or_signed_otherwise_is_believed() {
        let vault = Vault::from_master(&[7; 32]);
        let token = issue(&vault, &AccountId::new("MA_A"), 1, at(0), LIFE);
        let [header, body, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let forge = |header: &str, body: &str| {
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body))
        };
        let claims = r#"{"iss":"tandem","sub":"MA_B","epoch":1,"iat":0,"exp":99999999999,"jti":"x"}"#;
        let unsigned = forge(r#"{"alg":"none","typ":"JWT","kid":"x"}"#, claims);
        // Rightly signed, and still not what we give: the algorithm and the key's name are ours alone.
        let other_algorithm = {
            let kid = key_id(&vault);
            let signed = forge(&format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#), claims);
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac(&vault, &signed).finalize().into_bytes()))
        };
        for bad in [
            String::new(),
            "a.b".to_owned(),
            format!("{header}.{body}"),
            format!("{header}.{body}."),
            format!("{unsigned}."),
            format!("{}.{signature}", forge(r#"{"alg":"HS256","typ":"JWT","kid":"x"}"#, claims)),
            other_algorithm,
            format!("{token}x"),
            issue(&Vault::from_master(&[8; 32]), &AccountId::new("MA_A"), 1, at(0), LIFE),
            "x".repeat(TOKEN_MAX + 1),
        ] {
            assert_eq!(read(&vault, &bad, at(1)), Err(BadToken::Forged), "{bad}");
        }
        for index in (0..token.len()).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(read(&vault, &String::from_utf8(bytes).unwrap(), at(1)), Err(BadToken::Forged));
        }
    }
}
