//! The links between the documents lead to files and headings that exist, and that the package has.

use std::path::Path;

use super::blocks::{ENGLISH_ONLY, PAIRS, read};

/// The targets of all links of a document that lead to other files of the repository, or to its headings.
fn relative_links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target).filter(|target| !target.contains("://")).collect()
}

/// How GitHub names the place of each heading.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || "-_ ー".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// The folders and files that `include` in Cargo.toml names.
fn is_in_package(path: &str) -> bool {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("include")).unwrap();
    line.split('"').skip(1).step_by(2).any(|entry| {
        let entry = entry.trim_start_matches('/');
        path == entry || path.starts_with(&format!("{entry}/"))
    })
}

#[test]
fn every_link_leads_to_a_heading_or_file_that_is_there_and_in_the_package() {
    for document in PAIRS.iter().flatten().chain(&ENGLISH_ONLY) {
        assert!(is_in_package(document), "{document} is not in the package");
        let folder = Path::new(document).parent().unwrap();
        let text = read(document);
        for link in relative_links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { (*document).into() } else { folder.join(file) };
            assert!(path.exists(), "{document}: no {link}");
            let path = path.to_str().unwrap();
            assert!(is_in_package(path), "{document}: {link} is not in the package");
            if !anchor.is_empty() {
                let known = anchors(&read(path));
                assert!(known.iter().any(|known| known == anchor), "{document}: {link} {known:?}");
            }
        }
    }
}
