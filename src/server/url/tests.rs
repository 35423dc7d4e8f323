//! Which texts are URLs of servers, and that no text repeats a password.

use proptest::prelude::*;

use super::*;

/// The parts of a URL as one word: user, hosts, socket, service, database, prefix, TLS.
fn parts(text: &str) -> String {
    let (url, password) = ServerUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let hosts: Vec<_> = url.hosts.iter().map(|(host, port)| format!("{host} {port}")).collect();
    let mut parts = vec![hosts.join("+")];
    parts.extend(url.socket.map(|path| format!("socket={}", path.display())));
    parts.extend(url.service.map(|service| format!("service={service}")));
    parts.extend(url.user.map(|user| format!("user={user}")));
    parts.extend(password.map(|password| format!("password={}", password.as_ref())));
    parts.extend((url.db != 0).then(|| format!("db={}", url.db)));
    parts.extend((url.prefix != "qdemo").then(|| format!("prefix={}", url.prefix)));
    parts.extend(url.is_tls.then(|| "tls".to_owned()));
    parts.join(" ")
}

#[test]
fn the_parts_of_a_url_are_found() {
    for (text, expected) in [
        ("redis://localhost", "localhost 6379"),
        ("REDIS://LocalHost/", "localhost 6379"),
        ("redis://10.0.0.1:7000/3", "10.0.0.1 7000 db=3"),
        ("redis://[::1]:7000", "::1 7000"),
        ("redis://[::1]", "::1 6379"),
        ("redis://my_redis-1.local", "my_redis-1.local 6379"),
        ("valkey://h?prefix=Jobs-1.x_y", "h 6379 prefix=Jobs-1.x_y"),
        ("rediss://h", "h 6379 tls"),
        ("valkeys://ann:pw@h:1", "h 1 user=ann password=pw tls"),
        ("redis://:pw@h", "h 6379 password=pw"),
        ("redis://ann@h", "h 6379 user=ann"),
        ("redis://ann:@h", "h 6379 user=ann password="),
        ("redis://:@h", "h 6379"),
        ("redis://@h", "h 6379"),
        ("redis://a%3Ab:p%40s%2Fw%25@h", "h 6379 user=a:b password=p@s/w%"),
        ("redis://ann:a:b@c@h", "h 6379 user=ann password=a:b@c"),
        ("redis+unix:///run/redis.sock", " socket=/run/redis.sock"),
        (
            "redis+unix://ann:pw@/a%20b?db=2&prefix=x",
            " socket=/a b user=ann password=pw db=2 prefix=x",
        ),
        ("redis+sentinel://a,b:7,[::2]:9/main", "a 26379+b 7+::2 9 service=main"),
        ("rediss+sentinel://u:p@a/m%2Fn/4", "a 26379 service=m/n user=u password=p db=4 tls"),
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn the_error_for_a_text_that_is_no_url_has_a_cause_and_a_remedy() {
    let long = format!("redis://h?prefix={}", "x".repeat(65));
    for (text, words) in [
        ("", ["not a URL", "redis://HOST"]),
        ("localhost:6379", ["not a URL", "redis://HOST"]),
        ("://h", ["not a URL", "redis://HOST"]),
        ("http://h", ["`http` is not known", "redis+sentinel://"]),
        ("redis://", ["names no host", "redis://localhost"]),
        ("redis:///3", ["names no host", "redis://localhost"]),
        ("redis://a b", ["not a name and not an address", "redis://HOST:PORT"]),
        ("redis://::1", ["not a name and not an address", "in [ ]"]),
        ("redis://h:0", ["1 to 65535", ":6379"]),
        ("redis://h:+1", ["1 to 65535", ":6379"]),
        ("redis://h:65536", ["1 to 65535", ":6379"]),
        ("redis://h:", ["1 to 65535", ":6379"]),
        ("redis://a,b", ["only Sentinels", "redis+sentinel://"]),
        ("redis://h/x", ["database is not a number", "/0"]),
        ("redis://h/-1", ["database is not a number", "/0"]),
        ("redis://h/0/1", ["database is not a number", "/0"]),
        ("redis://h/4294967296", ["database is not a number", "/0"]),
        ("redis://h#x", ["must escape", "%23"]),
        ("redis://:a/b@h", ["must escape", "%2F"]),
        ("redis://:a?b@h", ["must escape", "%3F"]),
        ("redis://:%ff@h", ["not UTF-8", "%25"]),
        ("redis+unix://run/redis.sock", ["host before the path", "three slashes"]),
        ("redis+unix://", ["no path of a socket", "redis+unix:///PATH"]),
        ("redis+unix:///", ["no path of a socket", "redis+unix:///PATH"]),
        ("redis+unix:///s?db=x", ["database is not a number", "?db=0"]),
        ("redis+sentinel://a,/m", ["names no host", "redis://HOST"]),
        ("redis+sentinel://a", ["does not name the primary", "/SERVICE"]),
        ("redis+sentinel://a//3", ["does not name the primary", "/SERVICE"]),
        ("redis://h?db=3", ["`db` is not known", "/N at the end"]),
        ("redis+unix:///s?color=red", ["`color` is not known", "db=N and prefix=WORD"]),
        ("redis://h?prefix=a&prefix=b", ["`prefix` stands there twice", "leave one out"]),
        ("redis://h?prefix=a*", ["prefix is not a word", "1 to 64 letters"]),
        ("redis://h?prefix=", ["prefix is not a word", "1 to 64 letters"]),
        (&long, ["prefix is not a word", "1 to 64 letters"]),
    ] {
        let error = ServerUrl::parse(text).expect_err(text).to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_text_for_people_has_neither_the_user_nor_the_password() {
    for (text, shown) in [
        ("redis://hunter2@h", "redis://h:6379"),
        ("valkeys://ann:hunter2@[::1]/3?prefix=x", "valkeys://[::1]:6379/3?prefix=x"),
        ("redis+unix://ann:hunter2@/a%20b?db=2&prefix=x", "redis+unix:///a%20b?db=2&prefix=x"),
        ("redis+sentinel://:hunter2@a,b:7/m%2Fn/4", "redis+sentinel://a:26379,b:7/m%2Fn/4"),
    ] {
        let (url, _) = ServerUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), format!("ServerUrl({shown})"));
    }
}

/// A URL around a login.
fn url_around(login: &str) -> impl Strategy<Value = String> + use<> {
    let login = login.to_owned();
    let place = prop_oneof![
        Just(("redis", "host:7000/3?prefix=x")),
        Just(("rediss", "[::1]")),
        Just(("valkey+unix", "/run/redis.sock?db=2")),
        Just(("redis+sentinel", "a,b:7/main/1")),
    ];
    place.prop_map(move |(scheme, place)| format!("{scheme}://{login}@{place}"))
}

/// A password that is no part of any text by chance.
const PASSWORD: &str = "hunter2[^ -~]{0,3}[!-~]{0,8}";

/// A URL with a password, and the password.
fn url_with_password() -> impl Strategy<Value = (String, String)> {
    ("[a-z:@%é ]{0,4}", PASSWORD, any::<bool>()).prop_flat_map(|(user, password, is_escaped)| {
        let user = utf8_percent_encode(&user, WORD).to_string();
        let written = if is_escaped {
            utf8_percent_encode(&password, WORD).to_string()
        } else {
            password.clone()
        };
        url_around(&format!("{user}:{written}")).prop_map(move |url| (url, password.clone()))
    })
}

fn assert_hides(text: &str) {
    assert!(!text.contains("hunter2"), "{text}");
}

proptest! {
    #[test]
    fn a_url_survives_the_environment_and_its_password_goes_apart(
        (user, password) in ("\\PC{0,6}", "\\PC{1,12}"),
        chosen in any::<prop::sample::Index>(),
    ) {
        let encode = |text: &str| utf8_percent_encode(text, WORD).to_string();
        let login = format!("{}:{}", encode(&user), encode(&password));
        let places = ["redis://L@h:7/3?prefix=x", "rediss+sentinel://L@a,[::1]:7/m/1", "redis+unix://L@/a?db=2"];
        let text = chosen.get(&places).replace('L', &login);
        let (url, found) = ServerUrl::parse(&text).unwrap();
        prop_assert_eq!(found, Some(Password::new(password)));
        prop_assert_eq!(url.user.clone(), Some(user).filter(|user| !user.is_empty()));
        let (again, none) = ServerUrl::parse(&url.to_text_with_user()).unwrap();
        prop_assert_eq!(again, url);
        prop_assert_eq!(none, None);
    }

    #[test]
    fn no_text_shows_the_password_of_a_url(
        (text, _) in url_with_password(),
        // One character too many, too few or wrong, outside the password.
        at in any::<prop::sample::Index>(),
        change in prop_oneof![Just(None), "[ :/?#@,&=%a-z\\[\\]]".prop_map(Some)],
        removes in any::<bool>(),
    ) {
        let (start, end) = (text.find("hunter2").unwrap(), text.rfind('@').unwrap());
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at)
            .filter(|&at| at <= start || at >= end).collect();
        let at = *at.get(&places);
        let mut damaged = text.clone();
        if removes && at != start {
            damaged.remove(at);
        }
        if let Some(character) = change {
            damaged.insert_str(at, &character);
        }
        for text in [text, damaged] {
            match ServerUrl::parse(&text) {
                Ok((url, password)) => {
                    assert_hides(&format!("{url} {url:?} {password:?}"));
                }
                Err(error) => assert_hides(&format!("{error} {error:?}")),
            }
        }
    }

    #[test]
    fn any_text_is_a_url_or_an_error_in_one_line(text in "(redis(s|\\+unix|\\+sentinel)?://)?\\PC{0,40}") {
        if let Err(error) = ServerUrl::parse(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn each_scheme_has_a_counterpart_with_tls_and_without() {
    for (url, counterpart) in [
        ("redis://h", "rediss"),
        ("rediss://h", "redis"),
        ("valkey://h", "valkeys"),
        ("valkeys://h", "valkey"),
        ("redis+sentinel://h/queues", "rediss+sentinel"),
        ("valkeys+sentinel://h/queues", "valkey+sentinel"),
    ] {
        let (url, _) = ServerUrl::parse(url).unwrap();
        assert_eq!(url.scheme_with_tls(!url.is_tls), counterpart);
    }
}

#[test]
fn every_error_of_a_url_is_there_in_both_languages() {
    let word = || "x".to_owned();
    let errors = [
        UrlError::NotAUrl,
        UrlError::UnknownScheme(word()),
        UrlError::Unescaped,
        UrlError::NotUtf8,
        UrlError::NoHost,
        UrlError::InvalidHost,
        UrlError::InvalidPort,
        UrlError::SeveralHosts,
        UrlError::InvalidDatabase,
        UrlError::HostBeforeSocket,
        UrlError::NoSocket,
        UrlError::NoService,
        UrlError::UnknownParameterOfHost(word()),
        UrlError::UnknownParameterOfSocket(word()),
        UrlError::RepeatedParameter(word()),
        UrlError::InvalidPrefix,
    ];
    errors.iter().for_each(|error| crate::catalogue::assert_in_both_languages(error));
}
