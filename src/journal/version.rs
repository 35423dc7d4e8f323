//! The versions of the format. The program reads each version, and writes the present one.

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// Each word of version 1 that is another word today.
const WORDS_OF_VERSION_1: [(&[u8], &[u8]); 4] = [
    (b"item", b"ready"),
    (b"left", b"disconnected"),
    (b"out", b"delivered"),
    (b"back", b"requeued"),
];

impl Version {
    pub(crate) const ALL: [Self; 2] = [Self::Two, Self::One];
    pub(crate) const PRESENT: Self = Self::Two;

    /// The first line of the file.
    pub(super) fn header(self) -> &'static [u8] {
        match self {
            Self::One => b"qdemo-journal 1\n",
            Self::Two => b"qdemo-journal 2\n",
        }
    }

    /// What stands between a record's head and its checksum. No record of one version is a record of another
    /// one, so a reader recognizes the version of a journal whose header is damaged.
    pub(super) fn checksum_mark(self) -> &'static [u8] {
        match self {
            Self::One => b" ~",
            Self::Two => b" #",
        }
    }

    /// The checksum covers its mark too: a damaged mark does not make a record of another version.
    pub(super) fn covers_mark(self) -> bool {
        self != Self::One
    }

    /// A record with items tells the number of their bytes.
    pub(super) fn has_byte_count(self) -> bool {
        self != Self::One
    }

    /// The present word for the first word of a record.
    pub(super) fn present_word(self, word: &[u8]) -> &[u8] {
        let renamed = match self {
            Self::One => WORDS_OF_VERSION_1.iter().find(|(old, _)| *old == word),
            Self::Two => None,
        };
        renamed.map_or(word, |(_, present)| present)
    }
}
