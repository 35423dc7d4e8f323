//! The replacement strings in the arguments of a command, with the meanings that they have in GNU parallel.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What the replacement strings of a command stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacements<'a> {
    pub(crate) item: &'a str,
    pub(crate) id: u64,
    pub(crate) slot: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replacement {
    Item,
    /// What follows the last `/`.
    Basename,
    /// The directory; `.` without one.
    Dirname,
    /// Without the last `.` of the basename and what follows.
    WithoutExtension,
    BasenameWithoutExtension,
    Id,
    Slot,
}

const STRINGS: [(&[u8], Replacement); 7] = [
    (b"{}", Replacement::Item),
    (b"{/}", Replacement::Basename),
    (b"{//}", Replacement::Dirname),
    (b"{.}", Replacement::WithoutExtension),
    (b"{/.}", Replacement::BasenameWithoutExtension),
    (b"{#}", Replacement::Id),
    (b"{%}", Replacement::Slot),
];

/// Whether a replacement string that is made of the item is in this argument.
pub(super) fn contains_item(word: &OsStr) -> bool {
    let mut rest = word.as_bytes();
    while let Some((_, replacement, after)) = split_at_first(rest) {
        if !matches!(replacement, Replacement::Id | Replacement::Slot) {
            return true;
        }
        rest = after;
    }
    false
}

/// Replaces each replacement string in an argument. Nothing in the item has a special meaning.
pub(super) fn replace(word: &OsStr, values: &Replacements<'_>) -> OsString {
    let mut rest = word.as_bytes();
    let mut replaced = Vec::with_capacity(rest.len() + values.item.len());
    while let Some((before, replacement, after)) = split_at_first(rest) {
        replaced.extend_from_slice(before);
        values.push(replacement, &mut replaced);
        rest = after;
    }
    replaced.extend_from_slice(rest);
    OsString::from_vec(replaced)
}

/// What is before the first replacement string, that string, and what is after it.
fn split_at_first(word: &[u8]) -> Option<(&[u8], Replacement, &[u8])> {
    memchr::memchr_iter(b'{', word).find_map(|at| {
        let (before, from) = word.split_at(at);
        STRINGS.into_iter().find_map(|(string, replacement)| {
            Some((before, replacement, from.strip_prefix(string)?))
        })
    })
}

impl Replacements<'_> {
    fn push(&self, replacement: Replacement, to: &mut Vec<u8>) {
        let item = self.item;
        match replacement {
            Replacement::Item => to.extend_from_slice(item.as_bytes()),
            Replacement::Basename => to.extend_from_slice(basename(item).as_bytes()),
            Replacement::Dirname => to.extend_from_slice(dirname(item).as_bytes()),
            Replacement::WithoutExtension => {
                to.extend_from_slice(without_extension(item).as_bytes());
            }
            Replacement::BasenameWithoutExtension => {
                to.extend_from_slice(without_extension(basename(item)).as_bytes());
            }
            Replacement::Id => to.extend_from_slice(self.id.to_string().as_bytes()),
            Replacement::Slot => to.extend_from_slice(self.slot.to_string().as_bytes()),
        }
    }
}

/// Unlike `Path::file_name`, this is empty for a path that ends with `/`.
fn basename(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// As dirname(1), and as `File::Basename` of Perl.
fn dirname(path: &str) -> &str {
    let path = match path.trim_end_matches('/') {
        "" if path.is_empty() => return ".",
        "" => return "/",
        trimmed => trimmed,
    };
    match path.rsplit_once('/').map(|(directory, _)| directory.trim_end_matches('/')) {
        None => ".",
        Some("") => "/",
        Some(directory) => directory,
    }
}

/// Unlike `Path::file_stem`, this counts a `.` at the beginning of the basename: `.bashrc` is all extension.
fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(word: &str, item: &str) -> String {
        let values = Replacements { item, id: 12, slot: 3 };
        replace(OsStr::new(word), &values).into_string().unwrap()
    }

    /// What GNU parallel 20221122 prints for each item.
    #[test]
    fn the_replacement_strings_mean_what_they_mean_in_gnu_parallel() {
        for (item, basename, dirname, without_extension, both) in [
            ("", "", ".", "", ""),
            (".", ".", ".", "", ""),
            ("..", "..", ".", ".", "."),
            ("..a", "..a", ".", ".", "."),
            (".//", "", ".", ".//", ""),
            ("./a.b", "a.b", ".", "./a", "a"),
            (".a.b", ".a.b", ".", ".a", ".a"),
            (".bashrc", ".bashrc", ".", "", ""),
            ("/", "", "/", "/", ""),
            ("//", "", "/", "//", ""),
            ("/.b", ".b", "/", "/", ""),
            ("///a", "a", "/", "///a", "a"),
            ("/a", "a", "/", "/a", "a"),
            ("/a.b", "a.b", "/", "/a", "a"),
            ("a", "a", ".", "a", "a"),
            ("a b/c d.e", "c d.e", "a b", "a b/c d", "c d"),
            ("a.", "a.", ".", "a", "a"),
            ("a..b", "a..b", ".", "a.", "a."),
            ("a.b.c/d.e/f", "f", "a.b.c/d.e", "a.b.c/d.e/f", "f"),
            ("a.b/", "", ".", "a.b/", ""),
            ("a.b/.c", ".c", "a.b", "a.b/", ""),
            ("a.b/.c.d", ".c.d", "a.b", "a.b/.c", ".c"),
            ("a.b/c", "c", "a.b", "a.b/c", "c"),
            ("a/", "", ".", "a/", ""),
            ("a/.", ".", "a", "a/", ""),
            ("a/..", "..", "a", "a/.", "."),
            ("a/.b", ".b", "a", "a/", ""),
            ("a//b", "b", "a", "a//b", "b"),
            ("a/b.", "b.", "a", "a/b", "b"),
            ("a/b.c.d", "b.c.d", "a", "a/b.c", "b.c"),
            ("a/b.c/", "", "a", "a/b.c/", ""),
            ("a/b/", "", "a", "a/b/", ""),
            ("a/b.c\nd", "b.c\nd", "a", "a/b", "b"),
            ("a\nb.c\n", "a\nb.c\n", ".", "a\nb", "a\nb"),
            ("x.tar.gz", "x.tar.gz", ".", "x.tar", "x.tar"),
            ("ア/イ.ウ", "イ.ウ", "ア", "ア/イ", "イ"),
        ] {
            assert_eq!(replaced("{}", item), item);
            assert_eq!(replaced("{/}", item), basename, "basename of {item:?}");
            assert_eq!(replaced("{//}", item), dirname, "dirname of {item:?}");
            assert_eq!(replaced("{.}", item), without_extension, "{item:?} without extension");
            assert_eq!(replaced("{/.}", item), both, "basename of {item:?} without extension");
        }
    }

    /// GNU parallel looks for the `/` of `{/}` line by line: it makes `a\nc` of this item.
    #[test]
    fn a_basename_has_nothing_of_a_directory_whose_name_has_a_newline() {
        assert_eq!(replaced("{/} {/.}", "a\nb/c.d"), "c.d c");
        assert_eq!(replaced("{//}", "a\nb/c.d"), "a\nb");
    }

    #[test]
    fn replacement_strings_are_replaced_anywhere_and_only_once() {
        assert_eq!(replaced("a{}b{}c", "x"), "axbxc");
        assert_eq!(replaced("{//}/small-{/.}.png {%}/{#}", "d/e.jpg"), "d/small-e.png 3/12");
        assert_eq!(replaced("{{}} {{/}} {}}", "x"), "{x} {x} x}");
        assert_eq!(replaced("{}{.}", "{#}.{%}"), "{#}.{%}{#}");
        for unknown in ["{x}", "{ }", "{/", "{", "}", "{..}", "{1}", "{///}", "{./}", "{#", "{%%}"]
        {
            assert_eq!(replaced(unknown, "x"), unknown);
        }
    }

    #[test]
    fn an_argument_that_is_not_utf_8_is_replaced_too() {
        let word = OsString::from_vec(b"\xff{/}\xe3{%}".to_vec());
        let values = Replacements { item: "ア/イ", id: 1, slot: 2 };
        assert_eq!(
            replace(&word, &values).into_vec(),
            [b"\xff", "イ".as_bytes(), b"\xe32"].concat()
        );
    }

    #[test]
    fn only_what_is_made_of_the_item_passes_the_item() {
        for word in ["{}", "{/}", "{//}", "{.}", "{/.}", "{%}{#}{}", "a{{}}"] {
            assert!(contains_item(OsStr::new(word)), "{word}");
        }
        for word in ["", "{#}", "{%}", "{%}{#}", "{x}", "{ }"] {
            assert!(!contains_item(OsStr::new(word)), "{word}");
        }
    }
}
