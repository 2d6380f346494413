//! KYC: whom it is about ([`subject`]), hosted sessions ([`session`], [`create`], [`change`]), documents shown
//! ([`check`]), letters due ([`letter`]), and forgetting ([`erase`]).
//!
//! Whatever is personal arrives sealed; nothing here can read it. Every change of a session goes through
//! [`ChangeSession`], which applies only to the revision that was read.

mod change;
mod check;
mod create;
mod erase;
mod letter;
mod session;
mod subject;

pub use change::{ChangeSession, DocumentChange, SessionOutcome};
pub use check::{Check, CheckWork, DecideCheck, NewCheck, NoteReading, PostponePoll, PutCheck};
pub use create::{CreateOutcome, CreateSession, NewLetter, NewSession};
pub use erase::{EraseSubject, Erased, ForgetAbandoned};
pub use letter::{
    ClaimLetter, DoubtLetters, DueLetter, Letter, LetterState, QueueLetter, QueueOutcome, SettleLetter,
};
pub use session::{Session, SessionFilter};
pub use subject::{EnsureSubject, Subject};
