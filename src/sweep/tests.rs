//! Sweeps end to end, without the command line.

use std::sync::atomic::{AtomicU64, Ordering};

use roxmltree::Document;

use super::*;
use crate::catalogue::{Lang, in_language};
use crate::exit::ExitCode;
use crate::report::PictureFormat;

const SECOND: u64 = 1_000_000_000;

fn exp(mean: u64) -> Delay {
    Delay::Exponential { mean }
}

fn config(items: u64, producer_delay: Delay, consumer_delay: Delay) -> Config {
    Config::silent_simulation(items, [1, 1], [producer_delay, consumer_delay], 0)
}

fn settings(replications: u32) -> Settings {
    Settings { replications, warmup: 10, seed: 7 }
}

fn report(base: Config, parameter: Parameter, values: &[u64], settings: Settings) -> SweepReport {
    let sweep = Sweep::new(base, parameter, values, settings).unwrap();
    sweep.run(2, || false, |_, _| {}).unwrap()
}

/// A report with a point where theory has only a bound, and with an overloaded point.
fn bounded_report() -> SweepReport {
    let uniform = Delay::Uniform { low: SECOND / 2, high: SECOND * 3 / 2 };
    let base = config(500, uniform.clone(), uniform);
    report(base, Parameter::ConsumerDelay, &[SECOND / 2, 2 * SECOND], settings(2))
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let run = |threads| {
        let base = config(300, exp(SECOND), exp(SECOND));
        let values = [SECOND / 4, SECOND / 2];
        let sweep = Sweep::new(base, Parameter::ConsumerDelay, &values, settings(3)).unwrap();
        let calls = AtomicU64::new(0);
        let on_progress = |done, total| {
            assert!(done <= total && total == 6);
            calls.fetch_add(1, Ordering::Relaxed);
        };
        let report = sweep.run(threads, || false, on_progress).unwrap();
        assert_eq!(calls.into_inner(), 6);
        [report.to_json().unwrap(), report.to_csv(), report.to_text()]
    };
    assert_eq!(run(1), run(5));
}

#[test]
fn a_run_of_a_sweep_is_a_simulated_run_with_the_next_seed() {
    let base = config(300, exp(SECOND), exp(SECOND / 2));
    let sojourn = |seed| simulate(&base, seed, 10, || false).unwrap().averages().sojourn_time;
    let report = report(base.clone(), Parameter::Consumers, &[1, 2], settings(2));
    let mean = report.points[0].estimates[2].mean.unwrap();
    assert_eq!(mean, (sojourn(7) + sojourn(8)) / 2.0);
    let alone = report_of_one_run(&base);
    assert_eq!(alone.points[0].estimates[2].mean.unwrap(), sojourn(7));
}

fn report_of_one_run(base: &Config) -> SweepReport {
    report(base.clone(), Parameter::Consumers, &[1], settings(1))
}

#[test]
fn the_interval_of_one_run_comes_from_batch_means_if_the_run_is_long_enough() {
    for (items, method, note) in [
        (410, IntervalMethod::BatchMeans, "by the means of 20 batches"),
        (409, IntervalMethod::Missing, "Too few items"),
    ] {
        let base = config(items, exp(SECOND), exp(SECOND / 2));
        let report = report_of_one_run(&base);
        assert_eq!(report.interval_method, method);
        let widths = simulate(&base, 7, 10, || false).unwrap().half_widths();
        let width = report.points[0].estimates[2].half_width;
        assert_eq!(width, widths.map(|widths| widths.sojourn_time));
        assert!(in_language(Lang::En, || report.to_text()).contains(note));
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        let expected = if items == 410 { "batch-means".into() } else { serde_json::Value::Null };
        assert_eq!(json["interval"], expected);
        assert_eq!(json["batches"], if items == 410 { 20.into() } else { serde_json::Value::Null });
        assert_eq!(json["points"][0]["sojourn_s"]["interval"].is_null(), width.is_none());
    }
}

#[test]
fn a_cancelled_sweep_and_a_run_without_an_end_have_no_results() {
    let base = config(300, exp(SECOND), exp(SECOND));
    let sweep = Sweep::new(base, Parameter::Consumers, &[1, 2], settings(2)).unwrap();
    assert_eq!(sweep.run(2, || true, |_, _| {}).unwrap_err(), SweepFailure::Cancelled);
    let base = config(300, Delay::Constant(u64::MAX / 2), exp(SECOND));
    let sweep = Sweep::new(base, Parameter::Consumers, &[3, 4], settings(1)).unwrap();
    let failure = sweep.run(2, || false, |_, _| {}).unwrap_err();
    assert_eq!(failure, SweepFailure::OutOfTime("consumers=3".to_owned()));
}

#[test]
fn a_delay_without_a_scale_cannot_vary() {
    let refuse = |delay, value| {
        let base = config(300, exp(SECOND), delay);
        let sweep = || Sweep::new(base, Parameter::ConsumerDelay, &[value], settings(1));
        let error = in_language(Lang::En, sweep).unwrap_err();
        assert_eq!(error.code, ExitCode::Usage);
        error.to_string()
    };
    assert!(refuse(exp(SECOND), 0).contains("let the range begin above 0"));
    let zeros = refuse(Delay::Uniform { low: 0, high: 0 }, SECOND);
    assert!(zeros.contains("always 0 (uniform:0s..0s)"), "{zeros}");
}

#[test]
fn a_queue_is_overloaded_if_nothing_stops_more_items_than_consumers_can_handle() {
    let constant = |seconds| Delay::Constant(seconds * SECOND);
    let case = |producer, consumer, consumers, capacity| {
        is_overloaded(&Config { consumers, capacity, ..config(10, producer, consumer) })
    };
    assert!(case(exp(SECOND), exp(SECOND), 1, 0));
    assert!(case(exp(SECOND), exp(3 * SECOND), 2, 0));
    assert!(!case(exp(SECOND), exp(3 * SECOND), 4, 0));
    assert!(!case(exp(SECOND), exp(3 * SECOND), 2, 1));
    assert!(!case(constant(1), constant(1), 1, 0));
    assert!(case(constant(1), constant(2), 1, 0));
    assert!(case(constant(0), exp(SECOND), 1, 0));
    assert!(!case(constant(0), constant(0), 1, 0));
}

#[test]
fn bounds_and_overload_are_marked_in_every_form() {
    let report = bounded_report();
    let text = in_language(Lang::En, || report.to_text());
    for part in ["∞", "an upper bound (Kingman)", "overloaded. The queue grows"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // Only the two times of the table have a bound; the third sign is in the note.
    assert_eq!(text.matches('≤').count(), 3, "{text}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    let [first, second] = [0, 1].map(|n| json["points"][n].clone());
    assert_eq!((&first["overloaded"], &second["overloaded"]), (&false.into(), &true.into()));
    assert_eq!(first["sojourn_s"]["theory_is_bound"], true);
    assert_eq!(first["throughput_per_s"]["theory_is_bound"], false);
    assert!(second["sojourn_s"]["theory"].is_null());
    assert_eq!(first["consumer_delay_s"], 0.5);
    assert_eq!(json["consumer_delay"], "uniform:500ms..1500ms");
    let csv = report.to_csv();
    let fields: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(fields.len(), 3);
    assert!(fields.iter().all(|line| line.len() == fields[0].len()), "{csv}");
    let column = |name| fields[0].iter().position(|field| *field == name).unwrap();
    assert_eq!(fields[1][column("theory_is_bound")], "true");
    assert_eq!(fields[2][column("overloaded")], "true");
    assert_eq!(fields[2][column("sojourn_s_theory")], "");
    let mean = report.points[0].estimates[2].mean.unwrap();
    assert_eq!(fields[1][column("sojourn_s")], mean.to_string());
    let picture = report.to_picture("sojourn", PictureFormat::Svg);
    assert!(picture.contains("class=\"theory bound\"") && !picture.contains("class=\"theory\""));
    let share = report.to_picture("utilization", PictureFormat::Svg);
    assert!(share.contains("class=\"theory\"") && !share.contains("class=\"theory bound\""));
}

#[test]
fn the_picture_has_each_point_with_its_interval_and_the_line_of_theory() {
    let base = config(500, exp(SECOND), exp(SECOND));
    let values = [SECOND / 4, SECOND / 2, 2 * SECOND];
    let report = report(base, Parameter::ConsumerDelay, &values, settings(2));
    let draw = |lang, metric| in_language(lang, || report.to_picture(metric, PictureFormat::Svg));
    let count = |picture: &str, class: &str| {
        let picture = Document::parse(picture).unwrap();
        picture.descendants().filter(|node| node.attribute("class") == Some(class)).count()
    };
    let english = draw(Lang::En, "sojourn");
    // The legend has one more of each.
    assert_eq!(count(&english, "dot"), 2 + 1);
    assert_eq!(count(&english, "whisker"), 3 * (2 + 1));
    assert_eq!(count(&english, "overload"), 1 + 1);
    assert_eq!((count(&english, "theory"), count(&english, "theory bound")), (1 + 1, 0));
    for part in
        ["sojourn", "consumer-delay=500ms: ", "; theory 1 s", "exp:…", "mean consumer-delay"]
    {
        assert!(english.contains(part), "no {part} in {english}");
    }
    // The utilization of an overloaded queue has a value as every other.
    let share = draw(Lang::Ja, "utilization");
    assert_eq!((count(&share, "dot"), count(&share, "overload")), (3 + 1, 0));
    for part in ["稼働率", "理論値", "100 %"] {
        assert!(share.contains(part), "no {part} in {share}");
    }
    let page = in_language(Lang::Ja, || report.to_picture("wait", PictureFormat::Html));
    assert!(page.starts_with("<!doctype html>") && page.contains("待ち時間"));
}

#[test]
fn a_picture_of_one_point_or_of_zeros_has_axes() {
    let base = config(300, Delay::Constant(SECOND), Delay::Constant(0));
    let report = report(base, Parameter::ConsumerDelay, &[0], settings(1));
    for metric in Metric::OPTIONS {
        let picture = report.to_picture(metric, PictureFormat::Svg);
        let picture = Document::parse(&picture).unwrap();
        let text = picture.root_element().descendants().filter_map(|node| node.attribute("x"));
        assert!(text.map(|x| x.parse::<f64>().unwrap()).all(f64::is_finite), "{metric}");
    }
}
