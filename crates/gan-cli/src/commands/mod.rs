//! One module a command.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod diagnose;
pub(crate) mod evaluate;
pub(crate) mod inspect;
pub(crate) mod sample;
pub(crate) mod train;

use std::borrow::Cow;

/// How the user called this program, for hints that can be pasted. `cargo xtask` names itself.
fn program() -> Cow<'static, str> {
    std::env::var("GAN_PROGRAM").map_or(Cow::Borrowed("gan-cli"), Cow::Owned)
}
