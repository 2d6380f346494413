//! The contract, held against the real router on a real database, operation by operation: what the entries of `openapi`
//! tell is what is answered ([`golden`]), nobody reaches what is another's ([`walls`]), and whatever is sent, an answer is
//! a 4xx that names the field and changes nothing ([`bad_input`]). A route is in all of them by having an entry.

mod bad_input;
mod conform;
mod database;
mod golden;
mod table;
mod walls;
mod world;
