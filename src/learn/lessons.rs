//! The lessons, in their order.

use std::time::Duration;

use super::lesson::{Lesson, Python, Step};
use crate::catalogue::message;

/// All lessons: lesson 1 comes first.
pub(crate) static LESSONS: [Lesson; 9] = [
    Lesson {
        name: "fifo",
        title: || message!("learn-fifo-title"),
        steps: &[Step {
            lead: || message!("learn-fifo-lead"),
            python: Python { code: include_str!("python/fifo.py"), limit: Duration::from_secs(20) },
            script: "qdemo run --items 5 --consumer-delay 3s",
            picture: None,
            ask: || message!("learn-fifo-ask"),
            answer: 3,
            why: || message!("learn-fifo-why"),
        }],
        next_commands: &[
            "qdemo run --items 5 --consumer-delay 500ms",
            "qdemo run --items 6 --producers 2",
        ],
        next: || message!("learn-fifo-next"),
    },
    Lesson {
        name: "capacity",
        title: || message!("learn-capacity-title"),
        steps: &[Step {
            lead: || message!("learn-capacity-lead"),
            python: Python {
                code: include_str!("python/capacity.py"),
                limit: Duration::from_secs(20),
            },
            script: "qdemo run --format trace --capacity 2 \\\n  --producer-delay 0 --consumer-delay 2s",
            picture: None,
            ask: || message!("learn-capacity-ask"),
            answer: 3,
            why: || message!("learn-capacity-why"),
        }],
        next_commands: &[
            "qdemo run --producer-delay 0 --consumer-delay 2s",
            "qdemo run --capacity 2 --producer-delay 0 --speed max --stats",
        ],
        next: || message!("learn-capacity-next"),
    },
    Lesson {
        name: "sentinel",
        title: || message!("learn-sentinel-title"),
        steps: &[
            Step {
                lead: || message!("learn-sentinel-lead"),
                python: Python {
                    code: include_str!("python/sentinel.py"),
                    limit: Duration::from_secs(20),
                },
                script: r#"qdemo producer -q jobs a b c --quiet
qdemo consumer -q jobs"#,
                picture: Some(
                    "qdemo run --items 3 --producer-delay 0 --consumer-delay 1s --quiet --timeline {file}",
                ),
                ask: || message!("learn-sentinel-ask"),
                answer: 3,
                why: || message!("learn-sentinel-why"),
            },
            Step {
                lead: || message!("learn-sentinels-lead"),
                python: Python {
                    code: include_str!("python/sentinels.py"),
                    limit: Duration::from_secs(20),
                },
                script: r#"qdemo producer -q jobs a b --quiet
qdemo get -q jobs
qdemo get -q jobs
qdemo get -q jobs; echo "exit code $?"
qdemo get -q jobs; echo "exit code $?""#,
                picture: Some(
                    "qdemo run --items 2 --consumers 4 --producer-delay 0 --consumer-delay 1s --quiet --timeline {file}",
                ),
                ask: || message!("learn-sentinels-ask"),
                answer: 2,
                why: || message!("learn-sentinels-why"),
            },
        ],
        next_commands: &["qdemo put -q jobs a b c", "qdemo consumer -q jobs", "qdemo rm -q jobs"],
        next: || message!("learn-sentinel-next"),
    },
    Lesson {
        name: "consumers",
        title: || message!("learn-consumers-title"),
        steps: &[Step {
            lead: || message!("learn-consumers-lead"),
            python: Python {
                code: include_str!("python/consumers.py"),
                limit: Duration::from_secs(20),
            },
            script: "qdemo run --items 6 --consumers 2 --seed 1 \\\n  --producer-delay 0 --consumer-delay exp:2s",
            picture: None,
            ask: || message!("learn-consumers-ask"),
            answer: 2,
            why: || message!("learn-consumers-why"),
        }],
        next_commands: &[
            "qdemo run --items 6 --consumers 2 --producer-delay 0",
            "qdemo run --items 12 --consumers 3 --consumer-delay exp:3s",
        ],
        next: || message!("learn-consumers-next"),
    },
    Lesson {
        name: "crash",
        title: || message!("learn-crash-title"),
        steps: &[Step {
            lead: || message!("learn-crash-lead"),
            python: Python {
                code: include_str!("python/crash.py"),
                limit: Duration::from_secs(20),
            },
            script: "qdemo run --items 4 --chaos 4s --seed 2",
            picture: None,
            ask: || message!("learn-crash-ask"),
            answer: 3,
            why: || message!("learn-crash-why"),
        }],
        next_commands: &[
            "qdemo run --items 4 --chaos 4s --seed 5",
            "qdemo run --producers 2 --consumers 3 --items 20 --chaos 1s",
        ],
        next: || message!("learn-crash-next"),
    },
    Lesson {
        name: "join",
        title: || message!("learn-join-title"),
        steps: &[Step {
            lead: || message!("learn-join-lead"),
            python: Python { code: include_str!("python/join.py"), limit: Duration::from_secs(20) },
            script: r#"qdemo put -q desk report
qdemo consumer -q desk --max 1 -- sh -c 'sleep 1; echo done' &
qdemo join -q desk; echo "join: exit code $?""#,
            picture: Some(
                "qdemo run --items 1 --producer-delay 0 --consumer-delay 1s --quiet --timeline {file}",
            ),
            ask: || message!("learn-join-ask"),
            answer: 2,
            why: || message!("learn-join-why"),
        }],
        next_commands: &[
            "qdemo put -q desk a b",
            "qdemo join -q desk --timeout 1s",
            "qdemo get -q desk --count 2",
            "qdemo rm -q desk",
        ],
        next: || message!("learn-join-next"),
    },
    Lesson {
        name: "empty",
        title: || message!("learn-empty-title"),
        steps: &[
            Step {
                lead: || message!("learn-empty-lead"),
                python: Python {
                    code: include_str!("python/empty.py"),
                    limit: Duration::from_secs(20),
                },
                script: r#"qdemo put -q shop tea
qdemo peek -q shop"#,
                picture: None,
                ask: || message!("learn-empty-ask"),
                answer: 3,
                why: || message!("learn-empty-why"),
            },
            Step {
                lead: || message!("learn-race-lead"),
                python: Python {
                    code: include_str!("python/get_timeout.py"),
                    limit: Duration::from_secs(20),
                },
                script: r#"qdemo put -q shop tea
qdemo peek -q shop
qdemo get -q shop
qdemo get -q shop --no-wait; echo "exit code $?""#,
                picture: Some(
                    "qdemo run --items 3 --producer-delay 2s --consumer-delay 1s --quiet --timeline {file}",
                ),
                ask: || message!("learn-race-ask"),
                answer: 2,
                why: || message!("learn-race-why"),
            },
        ],
        next_commands: &["qdemo get -q shop --timeout 3s", "qdemo status"],
        next: || message!("learn-empty-next"),
    },
    Lesson {
        name: "utilization",
        title: || message!("learn-utilization-title"),
        steps: &[Step {
            lead: || message!("learn-utilization-lead"),
            python: Python {
                code: include_str!("python/utilization.py"),
                limit: Duration::from_secs(30),
            },
            script: r#"for delay in 500ms 950ms; do
  qdemo run --items 2000 --seed 10 --producer-delay exp:1s \
    --consumer-delay exp:$delay --speed max --quiet --stats 2>&1 |
    sed -n 1,2p
done"#,
            picture: Some(
                "qdemo sweep --consumer-delay exp:500ms --vary consumer-delay=100ms..950ms:10 --items 20000 --plot {file}",
            ),
            ask: || message!("learn-utilization-ask"),
            answer: 3,
            why: || message!("learn-utilization-why"),
        }],
        next_commands: &[
            "qdemo run --items 2000 --seed 10 --producer-delay exp:1s --consumer-delay exp:800ms --speed max --quiet --stats",
            "qdemo run --items 2000 --seed 10 --producer-delay exp:1s --consumer-delay 950ms --speed max --quiet --stats",
            "qdemo sweep --consumer-delay exp:500ms --vary consumer-delay=100ms..950ms:10",
        ],
        next: || message!("learn-utilization-next"),
    },
    Lesson {
        name: "mistakes",
        title: || message!("learn-mistakes-title"),
        steps: &[
            Step {
                lead: || message!("learn-drain-lead"),
                python: Python {
                    code: include_str!("python/join_first.py"),
                    limit: Duration::from_secs(3),
                },
                script: r#"seq 100000 | qdemo put -q big -; echo "put: exit code $?"
qdemo get -q big --count 2"#,
                picture: None,
                ask: || message!("learn-drain-ask"),
                answer: 2,
                why: || message!("learn-drain-why"),
            },
            Step {
                lead: || message!("learn-kill-lead"),
                python: Python {
                    code: include_str!("python/killed_put.py"),
                    limit: Duration::from_secs(4),
                },
                script: r#"(printf 'one\ntwo\nthr'; sleep 9) | qdemo put -q box - &
qdemo get -q box --count 2
kill -9 $!
qdemo put -q box four
qdemo get -q box"#,
                picture: None,
                ask: || message!("learn-kill-ask"),
                answer: 2,
                why: || message!("learn-kill-why"),
            },
            Step {
                lead: || message!("learn-one-lead"),
                python: Python {
                    code: include_str!("python/one_sentinel.py"),
                    limit: Duration::from_secs(3),
                },
                script: "qdemo run --items 3 --consumers 3 \\\n  --producer-delay 0 --consumer-delay 1s",
                picture: None,
                ask: || message!("learn-one-ask"),
                answer: 2,
                why: || message!("learn-one-why"),
            },
        ],
        next_commands: &["qdemo bench --against python"],
        next: || message!("learn-mistakes-next"),
    },
];
