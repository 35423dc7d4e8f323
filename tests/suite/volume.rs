//! Many items, and large items.

use std::collections::HashMap;

use crate::harness::{Sandbox, assert_same};

both!(each_item_of_eight_producers_reaches_one_of_eight_consumers_once, |backend| {
    let sandbox = Sandbox::on(backend);
    let raw = ["consumer", "--format", "raw"];
    let consumers: Vec<_> = (0..8).map(|_| sandbox.start(&raw)).collect();
    let producers: Vec<_> = (0..8)
        .map(|p| {
            let name = format!("producer {p} item ");
            sandbox.start(&["producer", "--quiet", "--items", "10000", "--item-name", &name])
        })
        .collect();
    let collected: Vec<_> =
        consumers.into_iter().map(|c| std::thread::spawn(move || c.end())).collect();
    for producer in producers {
        assert_eq!(producer.end().code(), Some(0));
    }
    assert_eq!(sandbox.run(&["producer", "--items", "0"]).code(), Some(0));
    let mut times: HashMap<String, u32> = HashMap::new();
    for consumer in collected {
        let outcome = consumer.join().unwrap();
        outcome.assert_done();
        let mut last = [None; 8];
        for line in outcome.lines() {
            let mut words = line.split(' ');
            let producer: usize = words.nth(1).unwrap().parse().unwrap();
            let item: u32 = words.nth(1).unwrap().parse().unwrap();
            assert!(last[producer] < Some(item), "an item is out of order: {line}");
            last[producer] = Some(item);
            *times.entry(line).or_default() += 1;
        }
    }
    assert_eq!(times.len(), 80_000);
    assert!(times.values().all(|&times| times == 1));
    sandbox.assert_nothing_left();
});

both!(items_of_any_size_are_delivered_unchanged, |backend| {
    let sandbox = Sandbox::on(backend);
    let sizes = [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20];
    let mut input = String::new();
    for (n, size) in sizes.iter().enumerate() {
        // The text does not repeat with a period that could hide a mistake at the end of a pipe's buffer.
        let text: String = (0..)
            .map(|i| format!("{n}-{i} "))
            .flat_map(|s| s.into_bytes())
            .map(char::from)
            .take(*size)
            .collect();
        assert_eq!(text.len(), *size);
        input.push_str(&text);
        input.push('\n');
    }
    input.push_str("アイテム \" \\ \u{7f}\n");
    let put = sandbox.run_with_input(&["producer", "--quiet", "-"], input.as_bytes());
    assert_eq!(put.code(), Some(0));
    let got = sandbox.run(&["consumer", "--format", "raw"]);
    got.assert_done();
    assert!(got.text() == input, "an item has changed");
    sandbox.assert_nothing_left();
});

both!(a_too_large_item_is_refused_and_the_items_before_it_are_in_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut input = b"small\n".to_vec();
    input.resize(input.len() + (16 << 20) + 1, b'x');
    input.push(b'\n');
    let put = sandbox.run_with_input(&["producer", "--quiet", "-"], &input);
    assert_eq!(put.code(), Some(1));
    let error = put.stderr.lines().last().unwrap();
    assert_eq!(
        error,
        "qdemo: line 2 of standard input has 16777217 bytes, and the limit is 16777216: split \
         it, or raise --max-item-size; it was not put, and the items before it are in the queue"
    );
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("small\n");
    sandbox.assert_nothing_left();
});

both!(large_items_of_several_producers_are_not_mixed, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = sandbox.start(&["consumer", "--format", "raw"]);
    let producers: Vec<_> = ["a", "b", "c", "d"]
        .map(|letter| {
            let args = ["producer", "--quiet", "--keep-open", "-"];
            let input = format!("{}\n", letter.repeat(300_000)).repeat(5);
            let mut producer = sandbox.start(&args);
            std::thread::spawn(move || {
                producer.feed(&input);
                producer.end()
            })
        })
        .into_iter()
        .collect();
    for producer in producers {
        assert_eq!(producer.join().unwrap().code(), Some(0));
    }
    assert_eq!(sandbox.run(&["producer", "--items", "0"]).code(), Some(0));
    let lines = consumer.end().lines();
    let mut counts: HashMap<String, u32> = HashMap::new();
    for line in lines {
        assert_eq!(line.len(), 300_000);
        assert_eq!(line.trim_matches(line.chars().next().unwrap()), "");
        *counts.entry(line[..1].to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts, ["a", "b", "c", "d"].map(|letter| (letter.to_owned(), 5)).into());
});

both!(a_consumer_gets_many_items_in_order, |backend| {
    let sandbox = Sandbox::on(backend);
    let input: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let put = sandbox.run_with_input(&["producer", "--quiet", "-"], input.as_bytes());
    assert_eq!(put.code(), Some(0));
    assert_same(&input, &sandbox.run(&["consumer", "--format", "raw"]).text());
    sandbox.assert_nothing_left();
});
