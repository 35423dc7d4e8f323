//! A queue between two Rust programs. Each runs on its own, in any order:
//!
//! ```text
//! cargo run --example library -- produce
//! cargo run --example library -- consume
//! ```
//!
//! The program keeps its queue itself, and needs no `qdemo`. (`qdemo::Queue<Page>` is the layer above,
//! where each item is a value.)

use std::error::Error;

use qdemo::{Options, Role};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    number: u32,
    title: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    qdemo::keep_if_asked();
    match std::env::args().nth(1).as_deref() {
        Some("produce") => produce(),
        Some("consume") => consume(),
        _ => Err("say `produce` or `consume`".into()),
    }
}

fn produce() -> Result<(), Box<dyn Error>> {
    let mut queue = Options::new("pages".parse()?, Role::Producer).capacity(2).connect()?;
    for number in 1..=5 {
        let title = format!("第{number}章");
        let page = Page { number, title };
        queue.put(&serde_json::to_vec(&page)?)?;
    }
    // Waits until every page is in the queue. Being the last producer, this ends it.
    queue.leave()?;
    Ok(())
}

fn consume() -> Result<(), Box<dyn Error>> {
    let mut queue = Options::new("pages".parse()?, Role::Consumer).connect()?;
    while let Some(batch) = queue.get(1)? {
        for (id, item) in batch.items() {
            let page: Page = serde_json::from_slice(item)?;
            println!("item {id}: page {}, {}", page.number, page.title);
        }
        // Without this, another consumer gets the page when this process dies.
        queue.done(batch.first_id(), batch.count())?;
    }
    Ok(())
}
