//! Text on the terminal. Names and files can contain control characters, which could move the
//! cursor, change colours or hide text.

use anyhow::{Context, Result};
use std::fmt::{Display, Write as _};
use std::io::{IsTerminal, Write as _, stderr, stdout};
use std::path::Path;

/// Prints text with its line breaks. Other control characters are printed as `\u001b`, which JSON
/// reads as the same character.
pub(crate) fn print(text: &str) -> Result<()> {
    stdout().write_all(escaped(text, &['\n']).as_bytes()).context("standard output")
}

/// A number of things: `1 image`, `2 images`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, thing: &str) -> String {
    let end = if count == N::from(1) { "" } else { "s" };
    format!("{count} {thing}{end}")
}

/// The path as a part of one line.
pub(crate) fn name(path: &Path) -> String {
    escaped(&path.display().to_string(), &[])
}

/// Writes the control characters of a text as `\u001b`, except the kept ones. These are the ASCII
/// and Latin-1 control characters, and those that change the direction of the text around them.
pub(crate) fn escaped(text: &str, kept: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() || turns) && !kept.contains(&character) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Whether messages may be in colour. <https://no-color.org>
pub(crate) fn has_colours() -> bool {
    can_move_the_cursor() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error is a terminal that obeys control sequences. A dumb terminal shows them as
/// text.
pub(crate) fn can_move_the_cursor() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular() {
        let shown = [0, 1, 2].map(|count: usize| counted(count, "image"));
        assert_eq!(shown, ["0 images", "1 image", "2 images"]);
    }

    #[test]
    fn what_turns_text_around_is_escaped() {
        assert_eq!(escaped("a\u{202e}b\u{2067}\u{1f9d1}\u{200d}", &[]), "a\\u202eb\\u2067\u{1f9d1}\u{200d}");
    }

    #[test]
    fn only_control_characters_are_escaped() {
        assert_eq!(
            escaped("a\tb\n\u{1b}[1m\u{7f}\u{9b}é\r", &['\n']),
            "a\\u0009b\n\\u001b[1m\\u007f\\u009bé\\u000d"
        );
        let json = escaped("{\"x\":\"\u{7f}\u{9b}\"}\n", &['\n']);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["x"], "\u{7f}\u{9b}");
    }
}
