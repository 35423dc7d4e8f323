//! The order of the rooms. The table in `docs/DESIGN.md` lists each room of `src` from the lowest to the highest, with the
//! rooms that it may import. These tests read the imports from the source, without comments, strings and tests.
//!
//! Local: no queue is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module's path below the crate's root: `["keeper", "pacer"]`.
type Module = Vec<String>;

/// The names in one file.
#[derive(Default)]
struct Source {
    /// The paths that the file's code names.
    paths: Vec<Vec<String>>,
    /// The names that the file re-exports. Each name has the path of its definition.
    reexports: BTreeMap<String, Vec<String>>,
}

struct Crate {
    sources: BTreeMap<Module, Source>,
}

impl Crate {
    /// Reads every file below `src` except `main.rs` and the files that only tests compile.
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = files_below(&root);
        let module_of = |file: &Path| module(file.strip_prefix(&root).unwrap());
        let modules: BTreeSet<Module> = files.iter().map(|file| module_of(file)).collect();
        let mut sources = BTreeMap::new();
        for file in files.iter().filter(|file| !is_for_tests(&module_of(file))) {
            let text = fs::read_to_string(file).unwrap();
            let module = module_of(file);
            let mut source = Source::default();
            scan(text.parse().unwrap(), &module, &modules, &mut source);
            sources.insert(module, source);
        }
        Self { sources }
    }

    /// The module that defines the item at `path`. Follows re-exports.
    fn resolve(&self, path: &[String]) -> Module {
        let mut at = 0;
        while at < path.len() && self.sources.contains_key(&path[..=at]) {
            at += 1;
        }
        let exported = path.get(at).and_then(|name| {
            self.sources.get(&path[..at]).and_then(|source| source.reexports.get(name))
        });
        match exported {
            Some(target) if target != path => self.resolve(target),
            _ => path[..at].to_vec(),
        }
    }

    /// The files that each file imports.
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |(module, source): (&Module, &Source)| {
            let mut targets: BTreeSet<_> =
                source.paths.iter().map(|path| self.resolve(path)).collect();
            targets.remove(module);
            (module.clone(), targets)
        };
        self.sources.iter().map(of).collect()
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|is| is == "rs") && !path.ends_with("main.rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn module(file: &Path) -> Module {
    let parts = file.with_extension("");
    let mut parts: Vec<_> = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

fn is_for_tests(module: &Module) -> bool {
    let is_test_room = module.first().is_some_and(|room| room == "testing");
    is_test_room || module.iter().any(|part| part == "tests" || part == "model")
}

/// Collects the paths and the re-exports of a piece of code. Skips items behind `#[cfg(test)]` and
/// `#[cfg(any(test, …))]`.
fn scan(code: TokenStream, module: &Module, modules: &BTreeSet<Module>, source: &mut Source) {
    let tokens: Vec<_> = code.into_iter().collect();
    let mut at = 0;
    let mut is_public = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                let attribute = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                at += 2;
                if is_cfg_test(&attribute) {
                    at = end_of_item(&tokens, at);
                }
            }
            TokenTree::Ident(word) if word == "pub" => {
                is_public = true;
                at += 1;
            }
            TokenTree::Ident(word) if word == "use" => {
                let end = end_of_item(&tokens, at);
                for (name, path) in leaves(&tokens[at + 1..end - 1], &[]) {
                    let Some(path) = absolute(&path, module, modules) else { continue };
                    if is_public {
                        source.reexports.insert(name, path);
                    } else {
                        source.paths.push(path);
                    }
                }
                (at, is_public) = (end, false);
            }
            TokenTree::Ident(_) => {
                let (path, end) = path_at(&tokens, at);
                if path.len() > 1 {
                    source.paths.extend(absolute(&path, module, modules));
                }
                at = end;
                is_public &=
                    matches!(tokens.get(at), Some(TokenTree::Ident(word)) if word == "use");
            }
            TokenTree::Group(group) => {
                scan(group.stream(), module, modules, source);
                // The visible item follows the parentheses of `pub(crate)`.
                is_public &= group.delimiter() == Delimiter::Parenthesis;
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn is_cfg_test(attribute: &str) -> bool {
    let attribute: String = attribute.split_whitespace().collect();
    attribute.starts_with("[cfg(test)") || attribute.starts_with("[cfg(any(test,")
}

/// The index after the item at `from`: after its semicolon or its braces.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let is_use =
        tokens[from..].iter().take(3).any(|t| matches!(t, TokenTree::Ident(w) if w == "use"));
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use,
        _ => false,
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |at| from + at + 1)
}

/// The path that begins at `from`, and the index after the path.
fn path_at(tokens: &[TokenTree], from: usize) -> (Vec<String>, usize) {
    let (mut path, mut at) = (Vec::new(), from);
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        path.push(word.to_string());
        at += 1;
        if !is_double_colon(tokens, at) {
            break;
        }
        at += 2;
    }
    (path, at)
}

fn is_double_colon(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

/// The leaves of a `use` tree: each name with its path.
fn leaves(tree: &[TokenTree], prefix: &[String]) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for branch in tree.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')) {
        let (words, end) = path_at(branch, 0);
        let path: Vec<String> = prefix.iter().cloned().chain(words).collect();
        match branch.get(end) {
            Some(TokenTree::Group(group)) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                all.extend(leaves(&inner, &path));
            }
            // The end of a list with a comma after its last name.
            _ if branch.is_empty() => {}
            // A bare `*`.
            _ if path.len() == prefix.len() && prefix.is_empty() => {}
            Some(TokenTree::Ident(_)) => {
                let name = branch.get(end + 1).map(ToString::to_string).unwrap_or_default();
                all.push((name, path));
            }
            _ => all.push((path.last().cloned().unwrap_or_default(), path)),
        }
    }
    all
}

/// The path from the root of the crate. None for a path outside the crate.
fn absolute(path: &[String], module: &Module, modules: &BTreeSet<Module>) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let child: Module = module.iter().chain(path.first()).cloned().collect();
    let (base, rest) = match path[0].as_str() {
        "crate" => (&[][..], &path[1..]),
        "self" if path.len() > 1 => (&module[..], &path[1..]),
        "super" => (&module[..module.len().saturating_sub(ups)], &path[ups..]),
        _ if modules.contains(&child) => (&module[..], path),
        _ => return None,
    };
    let rest = rest.iter().filter(|part| *part != "self");
    Some(base.iter().chain(rest).cloned().collect())
}

/// The rows of the table in `docs/DESIGN.md`: each room with the rooms that it may import.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DESIGN.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `src/"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let room = cells[1].trim_matches('`').trim_start_matches("src/").trim_end_matches(".rs");
        let names = cells[3].split(',').map(|name| name.trim().trim_matches('`'));
        (room.to_owned(), names.filter(|name| *name != "—").map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_room_imports_only_the_rooms_that_the_design_allows() {
    let table = table();
    let place = |room: &str| table.iter().position(|row| row.0 == room);
    let source = Crate::read();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (module, targets) in source.imports() {
        let Some(room) = module.first() else { continue };
        used.entry(room.clone()).or_default();
        for target in targets.iter().filter_map(|target| target.first()) {
            if target == room {
                continue;
            }
            used.entry(room.clone()).or_default().insert(target.clone());
            let is_listed = table.iter().any(|row| row.0 == *room && row.1.contains(target));
            if !is_listed || place(target) >= place(room) {
                wrong.push(format!("src/{} imports {target}", module.join("/")));
            }
        }
    }
    assert!(wrong.is_empty(), "the table in docs/DESIGN.md does not allow this: {wrong:#?}");
    let listed: BTreeMap<_, _> = table.into_iter().collect();
    assert_eq!(listed, used, "the table in docs/DESIGN.md (left) differs from the imports (right)");
}

#[test]
fn no_file_imports_itself_through_other_files() {
    let imports = Crate::read().imports();
    let mut circles = BTreeSet::new();
    for start in imports.keys() {
        // Breadth-first search for the shortest way back.
        let mut ways: Vec<Vec<&Module>> = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
            for next in &imports[way[way.len() - 1]] {
                if next == start {
                    let mut circle: Vec<_> = way.iter().map(|file| file.join("/")).collect();
                    let first = circle.iter().enumerate().min_by_key(|(_, file)| (*file).clone());
                    let first = first.map_or(0, |(at, _)| at);
                    circle.rotate_left(first);
                    circles.insert(circle.join(" → "));
                } else if imports.contains_key(next) && seen.insert(next) {
                    ways.push(way.iter().copied().chain([next]).collect());
                }
            }
        }
    }
    assert!(circles.is_empty(), "these files import one another: {circles:#?}");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dirs = ["src", "tests", "examples", "benches"].map(|dir| files_below(&root.join(dir)));
    let lengths = dirs.into_iter().flatten().map(|file| {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        (file.strip_prefix(root).unwrap().to_owned(), lines)
    });
    let long: Vec<_> = lengths.filter(|(_, lines)| *lines > 500).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn names_of_tests_have_fewer_than_80_characters() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests"].map(|dir| files_below(&root.join(dir)));
    let mut long = Vec::new();
    for file in files.into_iter().flatten() {
        let text = fs::read_to_string(file).unwrap();
        let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
        let functions = functions.filter_map(|rest| rest.split_once("()").map(|(name, _)| name));
        let functions = functions.filter(|name| !name.contains('('));
        let both = text.lines().filter_map(|line| line.strip_prefix("both!("));
        let both = both.filter_map(|rest| rest.split_once(", |").map(|(name, _)| name));
        let names = functions.chain(both).map(str::to_owned);
        long.extend(names.filter(|name| name.len() >= 80));
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Whether this word looks like a name of Rust code: `CamelCase` with two humps, or `snake_case`.
fn is_rust_name(word: &str) -> bool {
    let humps = word.chars().filter(char::is_ascii_uppercase).count();
    let is_camel = humps > 1
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric());
    let is_snake = word.contains('_')
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_camel || is_snake
}

#[test]
fn the_design_names_only_files_and_code_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: PathBuf| fs::read_to_string(file).unwrap();
    let manifest = read(root.join("Cargo.toml"));
    let code: String = ["src", "tests"]
        .into_iter()
        .flat_map(|dir| files_below(&root.join(dir)))
        .map(read)
        .collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = |text| str::split(text, |c| !is_word(c));
    let known: BTreeSet<&str> = words(&code).chain(words(&manifest)).collect();
    let design = read(root.join("docs/DESIGN.md"));
    let mut wrong = BTreeSet::new();
    for span in design.split('`').skip(1).step_by(2) {
        if span.starts_with("src/") && !span.contains("NAME") {
            wrong.extend((!root.join(span).exists()).then_some(span));
        } else {
            let names = words(span).filter(|word| is_rust_name(word));
            wrong.extend(names.filter(|name| !known.contains(name)));
        }
    }
    assert!(wrong.is_empty(), "docs/DESIGN.md names what does not exist: {wrong:#?}");
}
