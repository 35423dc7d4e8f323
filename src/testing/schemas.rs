//! The JSON Schemas in `docs/schemas`: one for each type that a command prints as JSON. They come from these types. A
//! test beside each type compares its schema with the file, and `make documents` writes the files anew.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::recorded::compare_file;

/// What holds of every schema.
const COMMENT: &str = "A later version may print more keys and more words: docs/STABILITY.md.";

/// Compares the schema of what `T` becomes as JSON with `docs/schemas/NAME.json`, or writes this file anew.
#[track_caller]
pub(crate) fn compare<T: JsonSchema>(name: &str) {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("$comment".to_owned(), COMMENT.into());
    RecursiveTransform(|schema: &mut Schema| drop(schema.remove("default"))).transform(&mut schema);
    RecursiveTransform(plain_description).transform(&mut schema);
    RecursiveTransform(require_descriptions).transform(&mut schema);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    compare_file(&format!("docs/schemas/{name}.json"), &text);
}

/// Turns the text of a docstring into plain text: without links, and without line breaks in a paragraph.
fn plain_description(schema: &mut Schema) {
    let Some(Value::String(text)) = schema.get_mut("description") else { return };
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    let mut plain = String::new();
    for part in paragraphs.collect::<Vec<_>>().join("\n\n").split("[`") {
        let (name, rest) = part.split_once("`]").unwrap_or(("", part));
        let rest =
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |r| r.1);
        plain += name;
        plain += rest;
    }
    *text = plain;
}

/// Panics if a property has no description.
fn require_descriptions(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (key, property) in properties {
        assert!(property.get("description").is_some(), "{key} has no docstring");
    }
}
