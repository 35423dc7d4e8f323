//! Where each setting comes from, and that no text repeats a password.

use std::os::unix::ffi::OsStringExt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

const URL: &str = "redis://ann:from-url@h";

fn resolve(
    given: &GivenServer,
    variables: &[(&str, &str)],
) -> Result<Option<ServerSettings>, SettingsError> {
    let variable = |name: &str| {
        let value = variables.iter().find(|(variable, _)| *variable == name);
        value.map(|(_, value)| OsString::from(value))
    };
    ServerSettings::resolve_with(given, &variable)
}

fn given(url: &str) -> GivenServer {
    GivenServer { url: Some(OsString::from(url).into()), ..GivenServer::default() }
}

fn password(given: &GivenServer, variables: &[(&str, &str)]) -> Option<String> {
    let settings = resolve(given, variables).unwrap().unwrap();
    settings.password.map(|password| password.as_ref().to_owned())
}

#[test]
fn an_option_comes_before_the_environment_and_none_is_a_local_queue() {
    assert!(resolve(&GivenServer::default(), &[]).unwrap().is_none());
    let place = |given: &GivenServer, variables: &[(&str, &str)]| {
        resolve(given, variables).unwrap().map(|settings| settings.url.to_string())
    };
    let variables = [(URL_VARIABLE, "redis://env")];
    assert_eq!(place(&GivenServer::default(), &variables).as_deref(), Some("redis://env:6379"));
    assert_eq!(place(&given("redis://option"), &variables).as_deref(), Some("redis://option:6379"));
}

#[test]
fn a_file_comes_before_the_environment_and_that_before_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (option, named) = (file("option", "from-option\n"), file("named", "from-file\r\n"));
    let named = named.to_str().unwrap();
    let mut with_file = given(URL);
    with_file.password_file = Some(option);
    let all = [(PASSWORD_VARIABLE, "from-env"), (PASSWORD_FILE_VARIABLE, named)];
    assert_eq!(password(&with_file, &all).as_deref(), Some("from-option"));
    assert_eq!(password(&given(URL), &all).as_deref(), Some("from-file"));
    assert_eq!(password(&given(URL), &all[..1]).as_deref(), Some("from-env"));
    assert_eq!(password(&given(URL), &[]).as_deref(), Some("from-url"));
    assert_eq!(password(&given("redis://h"), &[]), None);
    // A user without a password must not become the default user.
    assert_eq!(password(&given("redis://ann@h"), &[]).as_deref(), Some(""));
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_option_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("empty"), "\n").unwrap();
    fs::write(path("lines"), "one\ntwo\n").unwrap();
    fs::write(path("binary"), b"\xff").unwrap();
    let error = |given: &GivenServer| resolve(given, &[]).unwrap_err().to_string();
    for (name, words) in [
        ("missing", ["--server-password-file", "No such file", "can read"]),
        ("binary", ["--server-password-file", "UTF-8", "can read"]),
        ("empty", ["--server-password-file", "no password", "in one line"]),
        ("lines", ["--server-password-file", "no password", "in one line"]),
    ] {
        let text = error(&GivenServer { password_file: Some(path(name)), ..given(URL) });
        assert!(words.iter().all(|word| text.contains(word)) && text.contains(name), "{text}");
    }
    let with_ca = |url, name| GivenServer { ca_file: Some(path(name)), ..given(url) };
    let text = error(&with_ca("rediss://h", "missing"));
    assert!(text.contains("--server-ca") && text.contains("can read"), "{text}");
    let text = error(&with_ca("redis://h", "empty"));
    assert!(text.contains("--server-ca") && text.contains("rediss://"), "{text}");
    let settings = resolve(&with_ca("rediss://h", "empty"), &[]).unwrap().unwrap();
    assert_eq!(settings.ca_file, Some(path("empty")));
    let not_utf8 = GivenServer {
        url: Some(OsString::from_vec(b"redis://\xff".to_vec()).into()),
        ..GivenServer::default()
    };
    assert!(error(&not_utf8).contains("--server: that is not a URL"));
}

#[test]
fn a_command_gets_the_same_server_and_no_password_in_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, "from-file").unwrap();
    let variables = |given: &GivenServer| {
        let variables = resolve(given, &[]).unwrap().unwrap().variables();
        variables.map(|(name, value)| (name, value.map(|value| value.into_string().unwrap())))
    };
    let url = Some("redis://ann@h:6379".to_owned());
    let [server, password, file, sentinel, ca] = variables(&given(URL));
    assert_eq!(server, ("QDEMO_SERVER", url.clone()));
    assert_eq!(password, ("QDEMO_SERVER_PASSWORD", Some("from-url".to_owned())));
    assert_eq!(file, ("QDEMO_SERVER_PASSWORD_FILE", None));
    assert_eq!(sentinel, ("QDEMO_SERVER_SENTINEL_PASSWORD", None));
    assert_eq!(ca, ("QDEMO_SERVER_CA", None));
    // The password of a file stays in the file.
    let with_file = GivenServer { password_file: Some(path.clone()), ..given(URL) };
    let [server, password, file, ..] = variables(&with_file);
    assert_eq!((server.1, password.1), (url, None));
    assert_eq!(file.1.as_deref(), path.to_str());
}

#[test]
fn a_command_gets_the_password_that_a_pipe_gave_only_once() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"from-pipe\n").unwrap();
    drop(writer);
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let with_pipe = GivenServer { password_file: Some(path), ..given(URL) };
    let [_, password, file, ..] = resolve(&with_pipe, &[]).unwrap().unwrap().variables();
    assert_eq!((password.1, file.1), (Some("from-pipe".into()), None));
}

#[test]
fn the_password_of_the_sentinels_is_passed_on_and_in_no_text() {
    let variables = [(SENTINEL_PASSWORD_VARIABLE, "hunter2"), (PASSWORD_VARIABLE, "other")];
    let settings = resolve(&given("redis+sentinel://h/queues"), &variables).unwrap().unwrap();
    let [_, password, _, sentinel, _] = settings.variables();
    assert_eq!((password.1, sentinel.1), (Some("other".into()), Some("hunter2".into())));
    assert_eq!(settings.redact("AUTH hunter2, AUTH other"), "AUTH …, AUTH …");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_of_the_settings_shows_the_password(
        password in "hunter2[!-~]{0,9}",
        place in 0..3,
        url in prop_oneof![Just("redis://ann:PW@h"), Just("redis://ann:PW@h:x"), Just("redis:/ann:PW@h")],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, &password).unwrap();
        let escaped = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
        let in_url = url.replace("PW", &escaped);
        let url = if place == 0 { &in_url } else { "redis://h" };
        let given = GivenServer { password_file: (place == 1).then_some(path), ..given(url) };
        let variables = [(PASSWORD_VARIABLE, password.as_str())];
        let resolved = resolve(&given, if place == 2 { &variables } else { &[] });
        let mut text = format!("{given:?} {resolved:?}");
        match resolved {
            Ok(Some(settings)) => {
                let answer = format!("unknown command `HELLO`, with args: `AUTH` `{password}`");
                text += &settings.redact(&answer);
                prop_assert_eq!(settings.password, Some(Password::new(&password)));
            }
            Ok(None) => prop_assert!(false, "no server"),
            Err(error) => text += &error.to_string(),
        }
        prop_assert!(!text.contains("hunter2"), "{}", text);
    }
}

#[test]
fn a_connection_that_hangs_leaves_time_for_another_one() {
    let second = 1_000_000_000;
    let mut settings = ServerSettings::from_url("redis://h").unwrap();
    for (patience, limit, after_a_second) in [
        (None, 10_000, 10_000),
        (Some(60 * second), 10_000, 10_000),
        (Some(4 * second), 2_000, 2_000),
        (Some(2 * second), 1_000, 1_000),
        (Some(3 * second / 2), 750, 500),
        (Some(0), 500, 500),
    ] {
        settings.patience = patience;
        assert_eq!(settings.answer_timeout().as_millis(), limit, "{patience:?}");
        assert_eq!(settings.answer_timeout_after(0).as_millis(), limit, "{patience:?}");
        let after = settings.answer_timeout_after(second);
        assert_eq!(after.as_millis(), after_a_second, "{patience:?}");
    }
}

#[test]
fn every_error_of_the_settings_is_there_in_both_languages() {
    let (place, path) = ("--server", || PathBuf::from("/file"));
    let error = io::Error::from(io::ErrorKind::NotFound);
    let errors = [
        SettingsError::Url { place, error: UrlError::NoHost },
        SettingsError::Unreadable { place, path: path(), error },
        SettingsError::NoPassword { place, path: path() },
        SettingsError::NotUtf8 { place },
        SettingsError::CaWithoutTls { place },
    ];
    errors.iter().for_each(|error| crate::catalogue::assert_in_both_languages(error));
}
