//! Each error has a text in Japanese and in English.

use super::*;
use crate::catalogue::assert_in_both_languages;
use crate::client::{GetError, PutError, TryGetError, TryPutError};

fn json_error() -> serde_json::Error {
    serde_json::from_str::<u8>("x").unwrap_err()
}

fn no_answer(process: Option<u32>, starting: bool) -> Error {
    Error::NoAnswer { queue: "jobs".to_owned(), process, starting, server: None }
}

#[test]
fn every_error_of_a_client_is_there_in_both_languages() {
    let io = || io::Error::from(io::ErrorKind::NotFound);
    let code = ErrorCode::Removed.to_string();
    let program = PathBuf::from("/bin/qdemo");
    let errors = [
        QueueNameError::Empty.into(),
        QueueNameError::TooLong(65).into(),
        QueueNameError::InvalidPath.into(),
        QueueNameError::ControlCharacter.into(),
        Error::NoHome,
        DirError::Symlink("/q".into()).into(),
        DirError::NotADirectory("/q".into()).into(),
        DirError::WrongOwner("/q".into(), 7).into(),
        DirError::WritableByOthers("/q".into()).into(),
        DirError::AccessibleToOthers("/q".into(), 0o644).into(),
        ServerError::Unread.into(),
        ServerError::Removed.into(),
        Error::Pipe(io()),
        Error::KeeperGone,
        no_answer(None, false),
        no_answer(None, true),
        no_answer(Some(7), false),
        no_answer(Some(7), true),
        Error::Closed,
        Error::Full,
        Error::Empty,
        Error::Unfinished(1),
        Error::Unfinished(2),
        Error::LeaseExpired(1),
        Error::Encode(json_error()),
        Error::Decode { id: 1, source: json_error() },
        Error::NotALine,
        Error::TooLarge { size: 9, max: 8 },
        Error::ItemsLost(1),
        Error::ItemsLost(2),
        Error::Refused { code, text: "the queue has been removed".to_owned() },
        MalformedReply("x".to_owned()).into(),
        Error::StdoutClosed,
        Error::Interrupted,
        StartFailure::Died(2).into(),
    ];
    errors.iter().for_each(|error| assert_in_both_languages(error));
    assert_in_both_languages(&StartFailure::Died(2));
    assert_in_both_languages(&StartFailure::NoProgram { program, source: io() });
    assert_in_both_languages(&PutError::Closed(()));
    assert_in_both_languages(&TryPutError::Full(()));
    assert_in_both_languages(&TryPutError::Closed(()));
    assert_in_both_languages(&GetError::Closed);
    assert_in_both_languages(&TryGetError::Empty);
    assert_in_both_languages(&TryGetError::Closed);
}

#[test]
fn what_fails_first_and_its_cause_are_in_one_language() {
    let failed = || {
        let error = DirError::Io { path: "/q".into(), error: io::ErrorKind::NotADirectory.into() };
        crate::os::chain_text(&Error::from(error))
    };
    assert_eq!(
        in_language(Lang::Ja, failed),
        "フォルダー /q を使えません: フォルダーではありません"
    );
    assert_eq!(in_language(Lang::En, failed), "cannot use the directory /q: Not a directory");
}

#[test]
fn the_library_speaks_english() {
    assert_eq!(Error::Full.to_string(), "the queue is full");
    assert_eq!(Error::Unfinished(1).to_string(), "1 item is not done yet");
    assert_eq!(Error::Unfinished(2).to_string(), "2 items are not done yet");
}
