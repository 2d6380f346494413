//! Signing in (REST reference §1.1).

use tandem_model::ErrorCode::{
    AccountInactive, Conflict, InvalidCredentials, MailNotConfigured, RateLimited, TokenExpired,
    ValidationError,
};

use crate::api::openapi::operation::{Operation, Who, post};

const TOKENS: &str = "access_token refresh_token token_type expires_in:int";

pub(super) fn entries() -> Vec<Operation> {
    let entries = vec![
        post("/auth/login", "Sign in with e-mail address and password")
            .note("The access token is good for half an hour, the refresh token once.")
            .body(r#"email!:email="{own_email}" password!:str(128)="Change-me-1""#)
            .answers(
                200,
                &format!(
                    "{{{TOKENS} tokens:{{{TOKENS}}} account:{{auth_id:id name email type:MASTER|SUB_ACCOUNT|PARTNER}}}}"
                ),
            ),
        post("/auth/refresh", "Renew a session")
            .note("refreshToken is taken too. A token is good once; showing a used one ends the session.")
            .body(r#"refresh_token!:str(128)="{refresh_token}""#)
            .answers(200, &format!("{{{TOKENS} tokens:{{{TOKENS}}}}}"))
            .refuses(&[TokenExpired]),
        post("/auth/logout", "End a session")
            .note("Its access token lasts for its half hour. A token that is none is answered the same.")
            .body(r#"refresh_token!:str(128)="{refresh_token}""#)
            .answers(200, "{message}"),
        post("/partner/login", "Sign in as a partner")
            .note("For an hour; it cannot be renewed. A partner of tandem admin partner create has no password until it sets one by POST /auth/password, with its two headers and new_password alone.")
            .body(r#"email!:email="{partner_email}" password!:str(128)="Change-me-1""#)
            .answers(200, "{tokens:{access_token token_type expires_in:int}}"),
    ];
    let passwords = [
        post("/auth/password/forgot", "Ask for a link to set a new password")
            .note("Answered the same whether or not an account has the address.")
            .body(r#"email!:email="{own_email}""#)
            .answers(202, "{message}")
            .refuses(&[MailNotConfigured]),
        post("/auth/password/reset", "Set a new password by such a link")
            .body(r#"token!:str(100)="{password_link}" new_password!:str(128)="Change-me-2""#)
            .answers(200, "{message}")
            .refuses_as(422, ValidationError),
    ];
    let refused = [InvalidCredentials, AccountInactive, RateLimited];
    let open = entries.into_iter().chain(passwords);
    let mut all: Vec<Operation> =
        open.map(|entry| entry.tag("Sessions").by(Who::Nobody).refuses(&refused)).collect();
    all.push(
        post("/auth/password", "Change one's password; every session ends")
            .note("Who never had one leaves current_password out.")
            .body(r#"current_password:str(128)="Change-me-1" new_password!:str(128)="Change-me-2""#)
            .answers(200, "{message}")
            .refuses(&[Conflict])
            .refuses_as(422, ValidationError),
    );
    all
}
