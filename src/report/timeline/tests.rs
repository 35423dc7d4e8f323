//! Tests of timelines and their pictures.

use bytes::Bytes;
use roxmltree::{Document, Node, ParsingOptions};

use super::*;
use crate::catalogue::Lang;
use crate::queue::Items;
use crate::role::Role;
use lane::{ItemRange, LaneState, StateInterval};

const SECOND: Nanos = 1_000_000_000;
const PRODUCER: WorkerId = WorkerId { role: Role::Producer, index: 1 };
const CONSUMER: WorkerId = WorkerId { role: Role::Consumer, index: 1 };

fn batch_of(first: u64, count: u64, attempt: u32) -> Batch {
    let lines: String = (first..first + count).map(|id| format!("\"item{id}\"\n")).collect();
    let lines = Items { count, bytes: Bytes::from(lines) };
    Batch { first_id: first, attempt, delivery_failures: 0, accepted_at: 0, items: lines }
}

fn record(
    timeline: &mut Timeline,
    at: Nanos,
    kind: EventKind<'_>,
    worker: WorkerId,
    waited: Nanos,
) {
    timeline.on_event(Event { at, worker: Some(worker), waited: Some(waited), kind });
}

fn item(id: u64) -> Batch {
    batch_of(id, 1, 1)
}

fn interval(doing: LaneState, from: Nanos, to: Nanos, item: Option<u64>) -> StateInterval {
    let items = item.map(|id| ItemRange { first: id, last: id });
    StateInterval { state: doing, start: from, end: to, items }
}

/// The producer puts an item each second, and the consumer takes two seconds for an item.
fn steady_timeline(items: u64) -> Timeline {
    let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER]);
    let mut got = 1;
    for id in 1..=items {
        let now = (id - 1) * SECOND;
        while got < id && 2 * (got - 1) * SECOND + 2 * SECOND <= now {
            let at = 2 * got * SECOND;
            record(&mut timeline, at, EventKind::Done(&item(got)), CONSUMER, 0);
            got += 1;
            record(&mut timeline, at, EventKind::Delivered(&item(got)), CONSUMER, 0);
        }
        record(&mut timeline, now, EventKind::Put(&item(id)), PRODUCER, 0);
        if id == 1 {
            record(&mut timeline, 0, EventKind::Delivered(&item(1)), CONSUMER, 0);
        }
    }
    record(&mut timeline, items * SECOND, EventKind::Left, PRODUCER, 0);
    while got <= items {
        let at = 2 * got * SECOND;
        record(&mut timeline, at, EventKind::Done(&item(got)), CONSUMER, 0);
        got += 1;
        if got <= items {
            record(&mut timeline, at, EventKind::Delivered(&item(got)), CONSUMER, 0);
        }
    }
    timeline
}

fn render_svg(timeline: &mut Timeline, end: Nanos, lang: Lang) -> String {
    timeline.render(end, lang, PictureFormat::Svg)
}

fn parse_svg(text: &str) -> Document<'_> {
    Document::parse_with_options(text, ParsingOptions::default()).expect("an SVG picture")
}

fn nodes_of_class<'a>(picture: &'a Document<'a>, class: &str) -> Vec<Node<'a, 'a>> {
    let has_class = |node: &Node<'_, '_>| {
        node.attribute("class").is_some_and(|all| all.split(' ').any(|name| name == class))
    };
    picture.descendants().filter(has_class).collect()
}

fn tooltips(picture: &Document<'_>, class: &str) -> Vec<String> {
    let title = |node: Node<'_, '_>| {
        let title = node.children().find(|child| child.has_tag_name("title"));
        title.and_then(|title| title.text()).unwrap_or_default().to_owned()
    };
    nodes_of_class(picture, class).into_iter().map(title).collect()
}

#[test]
fn a_short_run_keeps_every_event() {
    let mut timeline = steady_timeline(3);
    timeline.finish(6 * SECOND);
    let works = |from, to, id| interval(LaneState::Working, from * SECOND, to * SECOND, Some(id));
    assert_eq!(
        timeline.lanes[&PRODUCER].intervals,
        [works(0, 1, 1), works(1, 2, 2), works(2, 3, 3)]
    );
    assert_eq!(timeline.lanes[&PRODUCER].puts, [(0, 1), (SECOND, 2), (2 * SECOND, 3)]);
    assert_eq!(
        timeline.lanes[&CONSUMER].intervals,
        [works(0, 2, 1), works(2, 4, 2), works(4, 6, 3)]
    );
    let arrows: Vec<_> = timeline.deliveries.iter().map(|h| (h.id, h.from.at, h.to.at)).collect();
    assert_eq!(arrows, [(1, 0, 0), (2, SECOND, 2 * SECOND), (3, 2 * SECOND, 4 * SECOND)]);
    let depths: Vec<_> =
        timeline.depth_changes.iter().map(|step| (step.0 / SECOND, step.1)).collect();
    // The depth of no duration at 2 s is no change.
    assert_eq!(depths, [(0, 0), (1, 1), (4, 0)]);
}

#[test]
fn a_producer_is_blocked_for_its_wait() {
    let mut timeline = Timeline::new(Some(1), [PRODUCER, CONSUMER]);
    record(&mut timeline, 0, EventKind::Put(&item(1)), PRODUCER, 0);
    record(&mut timeline, 5, EventKind::Put(&item(2)), PRODUCER, 3);
    record(&mut timeline, 9, EventKind::Died(None), PRODUCER, 2);
    record(&mut timeline, 12, EventKind::Restarted, PRODUCER, 0);
    record(&mut timeline, 20, EventKind::Left, PRODUCER, 4);
    timeline.finish(30);
    assert_eq!(
        timeline.lanes[&PRODUCER].intervals,
        [
            interval(LaneState::Working, 0, 2, Some(1)),
            interval(LaneState::Blocked, 2, 5, None),
            interval(LaneState::Working, 5, 7, Some(2)),
            interval(LaneState::Blocked, 7, 9, None),
            interval(LaneState::Dead, 9, 12, None),
            interval(LaneState::Working, 12, 16, None),
            interval(LaneState::Blocked, 16, 20, None),
        ]
    );
    assert_eq!(timeline.lanes[&PRODUCER].deaths, [9]);
    assert_eq!(timeline.lanes[&CONSUMER].intervals, [interval(LaneState::Waiting, 0, 30, None)]);
}

#[test]
fn an_arrow_leads_from_a_dead_consumer_to_the_next_one() {
    let second = WorkerId { index: 2, ..CONSUMER };
    let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER, second]);
    record(&mut timeline, 0, EventKind::Put(&item(1)), PRODUCER, 0);
    record(&mut timeline, 1, EventKind::Delivered(&item(1)), CONSUMER, 0);
    record(&mut timeline, 4, EventKind::Died(None), CONSUMER, 0);
    record(&mut timeline, 4, EventKind::Requeued(&batch_of(1, 1, 2)), CONSUMER, 0);
    record(&mut timeline, 6, EventKind::Delivered(&batch_of(1, 1, 2)), second, 6);
    record(&mut timeline, 8, EventKind::Done(&batch_of(1, 1, 2)), second, 0);
    timeline.finish(9);
    let ends: Vec<_> = timeline.deliveries.iter().map(|h| (h.from, h.to, h.attempt)).collect();
    let end = |worker, at| ArrowEnd { worker, at };
    assert_eq!(
        ends,
        [(end(PRODUCER, 0), end(CONSUMER, 1), 1), (end(CONSUMER, 4), end(second, 6), 2)]
    );
    let dead = interval(LaneState::Dead, 4, 9, None);
    assert_eq!(timeline.lanes[&CONSUMER].intervals.last(), Some(&dead));
    let last = &timeline.lanes[&second].intervals;
    assert_eq!(
        last.last(),
        Some(&interval(LaneState::Waiting, 8, 9, None)),
        "not working any more"
    );
}

#[test]
fn a_long_run_keeps_its_shape_in_bounded_memory() {
    let items = 1_000_000;
    let mut timeline = steady_timeline(items);
    let text = render_svg(&mut timeline, 2 * items * SECOND, Lang::En);
    assert!(timeline.ready_sources.len() + timeline.deliveries.len() <= MAX_DELIVERIES);
    assert!(timeline.item_labels.is_empty() && timeline.depth_changes.is_empty());
    let times = |worker: WorkerId| {
        let shares = timeline.lanes[&worker].time_bins.as_slice();
        assert!((MAX_BINS / 2..=MAX_BINS).contains(&shares.len()) || worker == PRODUCER);
        LaneState::ALL.map(|doing| shares.iter().map(|s| s.times[doing as usize]).sum::<Nanos>())
    };
    assert_eq!(times(PRODUCER), [items * SECOND, 0, 0, 0]);
    assert_eq!(times(CONSUMER), [2 * items * SECOND, 0, 0, 0]);
    let sum: u128 = timeline.depth_bins.as_slice().iter().map(|level| level.depth_integral).sum();
    // The depth is a triangle whose peak is half of the items.
    let triangle = u128::from(items) * u128::from(items) / 2 * u128::from(SECOND);
    assert!(sum.abs_diff(triangle) < triangle / 1000, "{sum} {triangle}");
    let max_items = timeline
        .depth_bins
        .as_slice()
        .iter()
        .filter_map(|level| level.range)
        .map(|range| range.1)
        .max();
    assert_eq!(max_items, Some(items / 2));
    assert!(text.len() < 500_000, "{}", text.len());
    let picture = parse_svg(&text);
    let arrows = nodes_of_class(&picture, "arrow").len();
    assert!((12..=24).contains(&arrows), "{arrows}");
    assert!(text.contains(&format!("arrows for {arrows} of 1000000 deliveries")));
    assert_eq!(
        nodes_of_class(&picture, "working").len(),
        3,
        "a path for each lane, and the sample"
    );
}

#[test]
fn a_picture_shows_every_recorded_event() {
    let text = render_svg(&mut steady_timeline(5), 10 * SECOND, Lang::En);
    let picture = parse_svg(&text);
    assert_eq!(nodes_of_class(&picture, "lane").len(), 2);
    let title = picture.root_element().children().find(|node| node.has_tag_name("title"));
    assert_eq!(title.unwrap().text(), Some("qdemo: 1 producer, 1 consumer, 5 items, 10 s"));
    assert_eq!(
        tooltips(&picture, "arrow"),
        [
            "item1: producer 0 s → consumer 0 s (0 s in the queue)",
            "item2: producer 1 s → consumer 2 s (1 s in the queue)",
            "item3: producer 2 s → consumer 4 s (2 s in the queue)",
            "item4: producer 3 s → consumer 6 s (3 s in the queue)",
            "item5: producer 4 s → consumer 8 s (4 s in the queue)",
        ]
    );
    let working = tooltips(&picture, "working");
    assert_eq!(working[3], "producer: working item1, 0 s – 1 s (1 s)", "behind the sample");
    assert_eq!(tooltips(&picture, "putting")[5], "producer: putting item5, 4 s");
    let depths = tooltips(&picture, "cell");
    assert_eq!(depths[0], "queue depth 0, 0 s – 1 s (1 s)");
    assert_eq!(depths.last().unwrap(), "queue depth 0, 8 s – 10 s (2 s)");
}

#[test]
fn an_arrow_is_at_the_times_of_its_delivery() {
    let text = render_svg(&mut steady_timeline(5), 10 * SECOND, Lang::Ja);
    let picture = parse_svg(&text);
    let number =
        |node: &Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let ticks: Vec<_> = nodes_of_class(&picture, "tick");
    let at = |label: &str| {
        number(ticks.iter().find(|tick| tick.text().map(str::trim) == Some(label)).unwrap(), "x")
    };
    let arrow = nodes_of_class(&picture, "arrow")[2];
    let line = arrow.children().rfind(|node| node.has_tag_name("line")).unwrap();
    assert_eq!([number(&line, "x1"), number(&line, "x2")], [at("2 s"), at("4 s")]);
    assert!(number(&line, "y1") < number(&line, "y2"), "from the producer down to the consumer");
}

#[test]
fn a_picture_is_valid_whatever_the_items_contain() {
    for name in
        ["<script>alert(1)</script>", "a&b \"c\" 'd'", "\u{1}\u{1b}[2J\u{ffff}", &"長い".repeat(99)]
    {
        let mut timeline = Timeline::new(None, []);
        let json = serde_json::to_string(name).unwrap() + "\n";
        let lines = Items { count: 1, bytes: Bytes::from(json) };
        let batch =
            Batch { first_id: 1, attempt: 1, delivery_failures: 0, accepted_at: 0, items: lines };
        record(&mut timeline, 0, EventKind::Put(&batch), PRODUCER, 0);
        record(&mut timeline, SECOND, EventKind::Delivered(&batch), CONSUMER, 0);
        let text = render_svg(&mut timeline, 2 * SECOND, Lang::Ja);
        let picture = parse_svg(&text);
        let tip = tooltips(&picture, "arrow").remove(0);
        let start: String =
            escape_for_terminal(name).chars().take(4).filter(|c| *c != '\u{ffff}').collect();
        assert!(tip.starts_with(&start), "{tip:?}");
        let page = timeline.render(2 * SECOND, Lang::Ja, PictureFormat::Html);
        assert_eq!(page.matches("<script").count(), 3, "ours only");
    }
}

#[test]
fn a_run_without_events_has_a_picture() {
    let mut timeline = Timeline::new(Some(u64::MAX), [PRODUCER, CONSUMER]);
    let text = render_svg(&mut timeline, 0, Lang::Ja);
    assert_eq!(nodes_of_class(&parse_svg(&text), "lane").len(), 2);
}

#[test]
fn the_file_of_many_workers_is_small() {
    let workers = (1..=2000).map(|number| WorkerId { index: number, ..CONSUMER });
    let mut timeline = Timeline::new(None, workers.clone().chain([PRODUCER]));
    for (n, worker) in workers.cycle().take(20_000).enumerate() {
        let (id, at) = (n as u64 + 1, n as u64 * SECOND);
        record(&mut timeline, at, EventKind::Put(&item(id)), PRODUCER, 0);
        record(&mut timeline, at, EventKind::Delivered(&item(id)), worker, 0);
        record(&mut timeline, at + SECOND / 2, EventKind::Done(&item(id)), worker, 0);
    }
    let text = render_svg(&mut timeline, 20_000 * SECOND, Lang::En);
    assert!(text.len() < 2_000_000, "{}", text.len());
    parse_svg(&text);
}

/// The texts of a class, without white space around.
fn texts(picture: &Document<'_>, class: &str) -> Vec<String> {
    let text = |node: Node<'_, '_>| node.text().unwrap_or_default().trim().to_owned();
    nodes_of_class(picture, class).into_iter().map(text).collect()
}

#[test]
fn an_item_has_one_color_in_all_lanes() {
    let text = render_svg(&mut steady_timeline(8), 16 * SECOND, Lang::En);
    let picture = parse_svg(&text);
    for id in 1..=8 {
        let of_item = |node: &Node<'_, '_>| node.attribute("data-id") == Some(&id.to_string());
        let color = format!("i{}", id % 6);
        let bars = nodes_of_class(&picture, "working").into_iter().filter(of_item);
        let classes: Vec<_> = bars.filter_map(|bar| bar.attribute("class")).collect();
        assert_eq!(classes, vec![format!("working {color}"); 2]);
        let arrow = nodes_of_class(&picture, "arrow").into_iter().find(of_item).unwrap();
        assert!(arrow.children().any(|line| line.attribute("class") == Some(&color)), "{id}");
    }
}

#[test]
fn a_label_is_as_long_as_its_bar_allows() {
    let mut timeline = Timeline::new(None, []);
    // 1100 pixels are 1100 ms.
    for (at, id) in [(0, 1), (500, 2), (520, 3), (525, 4), (526, 5)] {
        record(&mut timeline, at, EventKind::Put(&item(id)), PRODUCER, 0);
    }
    record(&mut timeline, 700, EventKind::Put(&batch_of(6, 3, 1)), PRODUCER, 0);
    let text = render_svg(&mut timeline, 1100, Lang::En);
    assert_eq!(texts(&parse_svg(&text), "item"), ["item1", "2", "item5", "item6…8"]);
}

#[test]
fn a_batch_and_its_recorded_items_give_the_same_picture_and_page() {
    let draw = |batches: &[Batch]| {
        let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER]).with_statistics(false);
        for batch in batches {
            record(&mut timeline, 1, EventKind::Put(batch), PRODUCER, 0);
        }
        for batch in batches {
            record(&mut timeline, 3, EventKind::Delivered(batch), CONSUMER, 2);
        }
        for batch in batches {
            record(&mut timeline, 9, EventKind::Done(batch), CONSUMER, 0);
        }
        timeline.render(10, Lang::En, PictureFormat::Html)
    };
    let page = draw(&[batch_of(1, 3, 1)]);
    assert!(page == draw(&[item(1), item(2), item(3)]), "the pages differ");
    assert!(page.contains("<tr><th>sojourn</th><td>8 ns</td><td>8 ns</td></tr>"));
    assert!(page.contains(r#""text":"2 ns: consumer gets item3""#));
}

#[test]
fn a_run_without_delays_says_so_and_starts_at_its_first_event() {
    let picture_from = |start: Nanos| {
        let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER]);
        record(&mut timeline, start, EventKind::Put(&item(1)), PRODUCER, 0);
        record(&mut timeline, start + 4, EventKind::Delivered(&item(1)), CONSUMER, 0);
        render_svg(&mut timeline, start + 10, Lang::En)
    };
    let [paced, unpaced] = [0, 40 * SECOND].map(picture_from);
    assert!(!paced.contains("not paced"));
    assert!(unpaced.contains("not paced: the run has no delays"));
    let arrows = [paced, unpaced].map(|text| tooltips(&parse_svg(&text), "arrow"));
    assert_eq!(arrows[0], ["item1: producer 0 ns → consumer 4 ns (4 ns in the queue)"]);
    assert_eq!(arrows[0], arrows[1]);
}

#[test]
fn the_legend_lists_what_occurs() {
    let legend = |timeline: &mut Timeline| {
        let text = render_svg(timeline, 20, Lang::En);
        let picture = parse_svg(&text);
        let legend = nodes_of_class(&picture, "legend")[0];
        let names = legend.descendants().filter(|node| node.has_tag_name("text"));
        names.filter_map(|name| name.text()).map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(legend(&mut Timeline::new(None, [])), [""; 0]);
    let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER]);
    record(&mut timeline, 0, EventKind::Put(&item(1)), PRODUCER, 0);
    record(&mut timeline, 5, EventKind::Delivered(&item(1)), CONSUMER, 5);
    record(&mut timeline, 9, EventKind::Died(None), CONSUMER, 0);
    let shown = legend(&mut timeline);
    let item = "working (the color is the item's)";
    assert_eq!(shown, [item, "waiting", "dead", "putting", "delivery", "queue depth"]);
}

#[test]
fn a_recording_that_no_run_has_made_gives_a_page_without_statistics() {
    let nobody = WorkerId { index: 0, ..CONSUMER };
    let table = |events: &[(EventKind<'_>, WorkerId)]| {
        let mut timeline = Timeline::new(None, []).with_statistics(false);
        for &(kind, worker) in events {
            record(&mut timeline, 1, kind, worker, 0);
        }
        timeline.render(2, Lang::En, PictureFormat::Html).contains("<table>")
    };
    let (first, second) = (item(1), item(2));
    let put = (EventKind::Put(&first), PRODUCER);
    assert!(table(&[put, (EventKind::Delivered(&first), CONSUMER)]));
    assert!(!table(&[(EventKind::Put(&second), PRODUCER)]), "item 1 is missing");
    assert!(!table(&[put, (EventKind::Delivered(&second), CONSUMER)]), "no put");
    assert!(!table(&[put, (EventKind::Delivered(&first), nobody)]), "no such worker");
    assert!(!table(&[put, (EventKind::Delivered(&first), PRODUCER)]), "no consumer");
}

#[test]
fn among_many_arrows_the_upright_ones_are_left_out_until_a_reader_zooms() {
    let draw = |items: u64, format: PictureFormat| {
        let mut timeline = Timeline::new(None, [PRODUCER, CONSUMER]);
        for id in 1..=items {
            let (put_at, wait) = (id * 20, if id == 7 { 15 } else { 0 });
            record(&mut timeline, put_at, EventKind::Put(&item(id)), PRODUCER, 0);
            record(&mut timeline, put_at + wait, EventKind::Delivered(&item(id)), CONSUMER, 0);
        }
        timeline.render(items * 20 + 20, Lang::En, format)
    };
    let arrows = |text: &str| nodes_of_class(&parse_svg(text), "arrow").len();
    assert_eq!(arrows(&draw(60, PictureFormat::Svg)), 60);
    assert_eq!(arrows(&draw(61, PictureFormat::Svg)), 1, "item7 has waited");
    assert_eq!(draw(61, PictureFormat::Html).matches("class=\"arrow upright\"").count(), 60);
}
