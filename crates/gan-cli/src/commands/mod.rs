//! The commands, one module each.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod diagnose;
pub(crate) mod evaluate;
pub(crate) mod inspect;
pub(crate) mod sample;
pub(crate) mod train;

use std::borrow::Cow;

/// The name by which the user called this program, so that hints can be pasted. `cargo xtask`
/// passes its own name.
fn program() -> Cow<'static, str> {
    std::env::var("GAN_PROGRAM").map_or(Cow::Borrowed("gan-cli"), Cow::Owned)
}
