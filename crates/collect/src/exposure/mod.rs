//! What a line shows of how safely its API is offered.
//!
//! Decides which signs a call carries: how the client came ([`transport`]), what the answer's headers say ([`answer`]), and what
//! a JSON Web Token says of itself ([`token`]). They are read before anything is taken out of the line, and nothing of a value is in them.
//! What kinds of data stood in the call is found where they are replaced (module `sanitise`).

mod answer;
mod token;
mod transport;

pub(crate) use answer::answer;
pub(crate) use token::Token;
pub(crate) use transport::{Came, transport};
