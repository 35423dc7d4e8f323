//! What commands print as JSON is as the schemas in `docs/schemas` say, and has each key and each word of them.
//!
//! A schema lets keys pass that it does not know, since a later version may print more. The tests are strict: they know each
//! key. `src/testing/schemas.rs` compares the schemas with the types.
//!
//! The tests that are not of [`Backend::Server`] are local: a queue on a server adds only `server` to its status.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Backend, Running, Sandbox, signal_to, wait_while};

/// What these tests do not print: a place in a schema, and why.
const NOT_PRINTED: [(&str, &str); 9] = [
    ("event#/$defs/Role/oneOf/2 \"visitor\"", "a visitor prints items"),
    ("status#/$defs/WaitReason/oneOf/2 \"done\"", "a client that joins is not listed"),
    ("status#/$defs/ServerFacts/properties/primary", "needs Sentinel: server_sentinel::"),
    ("status#/$defs/ServerFacts/properties/primaries", "needs a cluster: server_cluster::"),
    ("status#/$defs/ServerFacts/properties/persistence null", "needs a user without rights"),
    ("status#/$defs/ServerFacts/properties/persistence \"none\"", "server::facts::"),
    ("status#/$defs/ServerFacts/properties/persistence \"AOF\"", "server::facts::"),
    ("status#/$defs/ServerFacts/properties/persistence \"AOF no\"", "server::facts::"),
    ("status#/$defs/ServerFacts/properties/persistence \"AOF every second\"", "server::facts::"),
];

/// A schema that takes no key it does not know, and the places in it.
struct Schema {
    name: String,
    root: Value,
}

/// Forbids unknown keys.
fn make_strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") && object.contains_key("type") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(make_strict);
        }
        Value::Array(values) => values.iter_mut().for_each(make_strict),
        _ => {}
    }
}

impl Schema {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| Self::read(path.file_stem().unwrap().to_str().unwrap())).collect()
    }

    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let root: Value = serde_json::from_str(&text).unwrap();
        jsonschema::meta::validate(&root).unwrap();
        let mut strict = root;
        make_strict(&mut strict);
        Self { name: name.to_owned(), root: strict }
    }

    #[track_caller]
    fn assert_valid(&self, value: &Value) {
        if let Err(error) = jsonschema::validate(&self.root, value) {
            panic!("{}.json: {error} at {}: {value:#}", self.name, error.instance_path());
        }
    }

    fn fits(&self, branch: &Value, value: &Value) -> bool {
        let schema = json!({ "$defs": self.root.get("$defs"), "allOf": [branch] });
        jsonschema::is_valid(&schema, value)
    }

    /// Adds the places in the schema that describe the value. Without a value, adds all places. A place is a key with another value
    /// than null, or a word.
    fn add_places(&self, at: &str, value: Option<&Value>, places: &mut BTreeSet<String>) {
        let Some(schema) = self.root.pointer(at) else { panic!("{}.json has no {at}", self.name) };
        let place = |at: &str| format!("{}#{at}", self.name);
        if let Some(Value::String(reference)) = schema.get("$ref") {
            self.add_places(&reference[1..], value, places);
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
            for (index, branch) in branches.enumerate() {
                if value.is_none_or(|value| self.fits(branch, value)) {
                    self.add_places(&format!("{at}/{keyword}/{index}"), value, places);
                }
            }
        }
        let words = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        for word in words.chain(schema.get("const")) {
            if value.is_none_or(|value| value == word) {
                places.insert(format!("{} {word}", place(at)));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (key, _) in properties {
            let inner = value.map(|value| value.get(key).unwrap_or(&Value::Null));
            let at = format!("{at}/properties/{key}");
            if inner.is_none_or(|inner| !inner.is_null()) {
                places.insert(place(&at));
            }
            self.add_places(&at, inner, places);
        }
        if schema.get("items").is_some() {
            let at = format!("{at}/items");
            match value {
                Some(Value::Array(values)) => {
                    values.iter().for_each(|value| self.add_places(&at, Some(value), places));
                }
                Some(_) => {}
                None => self.add_places(&at, None, places),
            }
        }
    }
}

/// What a command has printed: the command, the schema of each value, and the values.
struct Printed {
    command: &'static str,
    schema: &'static str,
    values: Vec<Value>,
}

/// The values of a text, each on a line of its own or in several lines.
fn parse(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.map(|value| value.unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

impl Printed {
    /// Runs a script that prints only JSON.
    fn by(sandbox: &Sandbox, command: &'static str, schema: &'static str, script: &str) -> Self {
        let text = sandbox.script(script).text();
        assert!(!text.is_empty(), "{script} prints nothing");
        Self { command, schema, values: parse(&text) }
    }
}

/// Events of runs: deaths, and a run that was interrupted.
fn print_events(sandbox: &Sandbox) -> Vec<Printed> {
    let run = "qdemo run --format json --producer-delay 0 --consumer-delay 500ms";
    let mut interrupted = sandbox.start(&run.split(' ').skip(1).collect::<Vec<_>>());
    let mut lines = String::new();
    while !lines.contains("\"left\"") {
        lines += &(interrupted.line() + "\n");
    }
    interrupted.signal(Signal::INT);
    lines += &interrupted.end().text();
    let events = |command, script: &str| Printed::by(sandbox, command, "event", script);
    let deaths = "--consumer-delay 2s --consumers 2 --items 20 --chaos 2s --seed 3";
    vec![
        Printed { command: "run", schema: "event", values: parse(&lines) },
        events("run", &format!("qdemo run --speed max --format json {deaths} 2>/dev/null")),
        events("producer", "qdemo producer --keep-open --items 2 --format json 2>/dev/null"),
        events("consumer", "qdemo consumer --max 1 --format json"),
    ]
}

fn print_items(sandbox: &Sandbox) -> Vec<Printed> {
    let by = |command, schema, script: &str| Printed::by(sandbox, command, schema, script);
    let put = "qdemo put -q c --json '\"x\"' 1 null '[{}]'";
    let commands = "qdemo consumer -q c --max 4 --format json --timeout-each 1s --results results -- \
                    sh -c 'case $1 in x) exec sleep 1000;; 1) kill $$;; [*) echo a >&2; exit 3;; *) echo a; echo b >&2;; esac' - {}";
    // The command kills its consumer.
    let deaths = "qdemo put -q d x; qdemo consumer -q d --max-attempts 1 -- sh -c 'kill -9 $PPID'";
    vec![
        by("peek", "item", "qdemo put -q i a '{\"b\":1}'; qdemo peek -q i --count 2 --format json"),
        by("get", "item", "qdemo get -q i --count 2 --format json"),
        by("consumer", "command", &format!("{put}; {commands} 2>/dev/null")),
        by("consumer", "record", "cat results/*/record.json"),
        by("failed", "failed", "qdemo failed -q c --format json"),
        by("failed", "failed", &format!("{deaths} 2>/dev/null; qdemo failed -q d --format json")),
    ]
}

fn print_measured(sandbox: &Sandbox) -> Vec<Printed> {
    let by = |command, schema, script: &str| Printed::by(sandbox, command, schema, script);
    let sweep =
        |options: &str| by("sweep", "sweep", &format!("qdemo sweep --format json {options}"));
    let stats = |options: &str| {
        let run = "qdemo run --speed max --quiet --seed 1 --stats-file /dev/stdout";
        by("run", "statistics", &format!("{run} {options}"))
    };
    let bench = "qdemo bench --rounds 1 --size 16 --workers 1x1 --format json";
    vec![
        stats("--items 500 --producer-delay exp:1s --consumer-delay exp:500ms"),
        stats("--items 500 --producer-delay uniform:1s..2s --consumer-delay uniform:0s..1s"),
        sweep("--vary consumers=1..2 --items 50"),
        sweep("--vary producers=1,2 --items 50"),
        sweep("--vary capacity=1 --items 500 --replications 1"),
        sweep("--vary producer-delay=1s,2s --items 20 --replications 1"),
        sweep("--vary consumer-delay=1s,2s --items 50"),
        by("bench", "bench", &format!("{bench} --against python --idle 1")),
        by("bench", "bench", &format!("ulimit -n 48; {bench} --workers 20x20 2>/dev/null")),
    ]
}

/// The status of all queues, when it has all these words.
fn status_with(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let mut text = String::new();
    wait_while(|| {
        text = sandbox.run(&["status", "--format", "json"]).text();
        !words.iter().all(|word| text.contains(word))
    });
    parse(&text)
}

/// Queues in each state, with clients that wait and work; and a queue whose keeper is stopped.
fn print_status(sandbox: &Sandbox) -> Printed {
    let queues = "
        qdemo put -q closed x; qdemo close -q closed
        qdemo put -q ended x; qdemo close -q ended; qdemo consumer -q ended
        qdemo producer -q ending x
        qdemo put -q busy x
        qdemo put -q full --capacity 1 x 2>&1 || exit";
    sandbox.script(queues);
    let clients: Vec<Running> = [
        &["consumer", "-q", "idle"][..],
        &["consumer", "-q", "busy", "--", "sleep", "1000"],
        &["producer", "-q", "full", "x"],
        &["put", "-q", "full", "x"],
    ]
    .map(|args| sandbox.start(args))
    .into();
    let words = [
        r#""waits_for":"item""#,
        r#""in_flight":1,"held_s":"#,
        r#""role":"producer","items":0,"waits_for":"room""#,
        r#""role":"visitor","items":0,"waits_for":"room""#,
    ];
    let mut values = status_with(sandbox, &words);
    let keeper = sandbox.processes_of("qdemo keeper --queue idle")[0].pid;
    signal_to(keeper, Signal::STOP);
    values.extend(status_with(sandbox, &["\"answers\""]));
    signal_to(keeper, Signal::CONT);
    for client in clients {
        client.signal(Signal::TERM);
        client.end();
    }
    Printed { command: "status", schema: "status", values }
}

fn print_all(sandbox: &Sandbox) -> Vec<Printed> {
    let parts = [print_events(sandbox), print_items(sandbox), print_measured(sandbox)];
    parts.into_iter().flatten().chain([print_status(sandbox)]).collect()
}

/// The keys in a value, by their places.
fn add_keys(at: &str, value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.insert(format!("{at}.{key}"));
                add_keys(&format!("{at}.{key}"), value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| add_keys(at, value, keys)),
        _ => {}
    }
}

/// The commands that can print JSON, as the reference has them.
fn commands_with_json() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/REFERENCE.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, text) = text.split_once("<!-- commands -->").unwrap();
    let (text, _) = text.split_once("<!-- end of commands -->").unwrap();
    let commands = text.split("### qdemo ").skip(1);
    let with_json = commands.filter(|command| {
        let options = command.lines().filter(|line| line.starts_with('|'));
        options.into_iter().any(|line| {
            let values = line.split_once("[one of: ").and_then(|(_, rest)| rest.split_once(']'));
            values.is_some_and(|(values, _)| values.split(", ").any(|value| value == "json"))
        })
    });
    with_json.map(|command| command.lines().next().unwrap().to_owned()).collect()
}

#[test]
fn commands_print_json_as_the_schemas_say_with_each_key_and_word() {
    let schemas: BTreeMap<_, _> = Schema::all().into_iter().map(|s| (s.name.clone(), s)).collect();
    let sandboxes = [Sandbox::new(), Sandbox::new().in_japanese()];
    let printed = thread::scope(|scope| {
        let threads = sandboxes.each_ref().map(|sandbox| scope.spawn(|| print_all(sandbox)));
        threads.map(|thread| thread.join().unwrap())
    });
    let mut seen = BTreeSet::new();
    let mut commands = BTreeSet::new();
    let mut keys_by_language = Vec::new();
    for (printed, sandbox) in printed.into_iter().zip(sandboxes) {
        let mut keys = BTreeSet::new();
        for printed in printed {
            let schema = &schemas[printed.schema];
            for value in &printed.values {
                schema.assert_valid(value);
                schema.add_places("", Some(value), &mut seen);
                add_keys(printed.schema, value, &mut keys);
            }
            commands.insert(printed.command.to_owned());
        }
        keys_by_language.push(keys);
        sandbox.assert_nothing_left();
    }
    assert_eq!(keys_by_language[0], keys_by_language[1]);
    assert_eq!(commands, commands_with_json());
    let mut all = BTreeSet::new();
    schemas.values().for_each(|schema| schema.add_places("", None, &mut all));
    let is_of_server = |place: &&String| {
        place.starts_with("status#/$defs/ServerFacts") || place.ends_with("properties/server")
    };
    let not_seen: BTreeSet<_> =
        all.difference(&seen).filter(|place| !is_of_server(place)).collect();
    let expected =
        NOT_PRINTED.iter().map(|(place, _)| (*place).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(not_seen, expected.iter().filter(|place| !is_of_server(place)).collect());
}

#[test]
fn the_status_of_a_queue_on_a_server_is_as_the_schema_says() {
    Backend::Server.check(|backend| {
        let schema = Schema::read("status");
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for make in [|sandbox| sandbox, Sandbox::in_japanese] {
            // The second server writes each change to its disk.
            for backend in [backend, Backend::DurableServer] {
                let sandbox = make(Sandbox::on(backend));
                let script = "qdemo put x 2>/dev/null; qdemo status --format json";
                let [value] = &parse(&sandbox.script(script).text())[..] else { panic!("a queue") };
                schema.assert_valid(value);
                schema.add_places("", Some(value), &mut seen);
                let mut printed = BTreeSet::new();
                add_keys("", value, &mut printed);
                keys.push(printed);
            }
        }
        assert!(keys.iter().all(|printed| *printed == keys[0]), "{keys:#?}");
        let mut all = BTreeSet::new();
        schema.add_places("", None, &mut all);
        let not_seen: Vec<_> =
            all.difference(&seen).filter(|p| p.contains("ServerFacts")).collect();
        let expected: BTreeSet<_> =
            NOT_PRINTED.iter().map(|(place, _)| (*place).to_owned()).collect();
        let expected: Vec<_> = expected.iter().filter(|p| p.contains("ServerFacts")).collect();
        assert_eq!(not_seen, expected);
    });
}
