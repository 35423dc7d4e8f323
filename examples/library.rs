//! Shows a queue between two Rust programs: a producer and a consumer, started in any order.
//!
//! ```text
//! cargo run --example library               # both at once
//! cargo run --example library -- produce    # or one of them in each terminal
//! cargo run --example library -- consume
//! ```
//!
//! This program uses `qdemo::Client`, and keeps its queue itself. `qdemo::Queue<Page>` is the layer
//! above, whose items are values.

use std::error::Error;
use std::process::Command;

use qdemo::{QueueBuilder, Role};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    number: u32,
    title: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    qdemo::keep_if_asked();
    let pages = QueueBuilder::new("pages".parse()?);
    match std::env::args().nth(1).as_deref() {
        Some("produce") => produce(pages),
        Some("consume") => consume(pages),
        Some(_) => Err("say `produce` or `consume`, or nothing for both".into()),
        None => {
            let mut producer = Command::new(std::env::current_exe()?).arg("produce").spawn()?;
            consume(pages)?;
            producer.wait()?;
            Ok(())
        }
    }
}

fn produce(pages: QueueBuilder) -> Result<(), Box<dyn Error>> {
    let mut producer = pages.capacity(2).connect(Role::Producer)?;
    for number in 1..=5 {
        let page = Page { number, title: format!("第{number}章") };
        // Blocks while two pages are ready.
        producer.put(&serde_json::to_vec(&page)?)?;
    }
    // This producer is the last one, so the queue ends after these pages.
    producer.leave()?;
    Ok(())
}

fn consume(pages: QueueBuilder) -> Result<(), Box<dyn Error>> {
    let mut consumer = pages.connect(Role::Consumer)?;
    while let Some(delivery) = consumer.get(10)? {
        for (item, json) in delivery.items() {
            let page: Page = serde_json::from_slice(json)?;
            println!("item {}: page {}, {}", item.id(), page.number, page.title);
        }
        // Without this report, another consumer gets the pages when this process dies.
        consumer.done(&delivery)?;
    }
    Ok(())
}
