//! Exceptions: they want a reason and an end, change no score, and what they left comes back.

use outrider_discover::posture::{
    Exception, ExceptionRefused, ScoreSubject, Settings, WeakSubject, WeaknessState, Why,
};
use outrider_model::WeaknessId;

use crate::support::samples::{Run, service_key};
use crate::{MINUTES_OF_AN_HOUR, at, one, run_of, told};

const PLAIN: &str =
    r#"{"call": "GET /stations/{i}", "template": "/stations/{id}", "times": 30, "signs": ["plain_http"]}"#;

fn exception(run: &Run, until_m: i64) -> Exception {
    Exception {
        check: "plain_http".to_owned(),
        subject: WeakSubject::Service(service_key("shop")),
        until_ms: run.now_ms + until_m * 60_000,
        reason: "the partner moves in December".to_owned(),
        by: "anna".to_owned(),
    }
}

fn except(run: &mut Run, exception: Exception) -> Result<WeaknessId, ExceptionRefused> {
    let now_ms = run.now_ms;
    run.posture.except(now_ms, exception)
}

/// The same for so many minutes.
fn except_for(run: &mut Run, minutes: i64) -> Result<WeaknessId, ExceptionRefused> {
    let wanted = exception(run, minutes);
    except(run, wanted)
}

#[test]
fn what_is_no_exception_is_refused_and_says_why() {
    let mut run = run_of(Settings { exceptions_max: 1, ..Settings::default() });
    at(&mut run, &[PLAIN.to_owned()]);
    let good = exception(&run, 60);
    let year_m = 366 * 24 * 60;
    let until = ExceptionRefused::Until { days_max: 366 };
    let reason = ExceptionRefused::Reason { bytes_max: 512 };
    for (wrong, expected) in [
        (Exception { check: "plain_htp".to_owned(), ..good.clone() }, ExceptionRefused::Check("plain_htp".to_owned())),
        (exception(&run, 0), until.clone()),
        (exception(&run, -1), until.clone()),
        (exception(&run, year_m + 1), until),
        (Exception { reason: " \n".to_owned(), ..good.clone() }, reason.clone()),
        (Exception { reason: "x".repeat(513), ..good.clone() }, reason),
    ] {
        assert_eq!(except(&mut run, wrong.clone()), Err(expected), "{wrong:?}");
        assert!(one(&run, "plain_http").is_open());
    }
    assert!(except_for(&mut run, year_m).is_ok());
    // Another one has no room, the same one again takes its own place.
    let other = Exception { check: "weak_tls".to_owned(), ..good.clone() };
    assert_eq!(except(&mut run, other), Err(ExceptionRefused::Full { max: 1 }));
    assert!(except(&mut run, Exception { reason: "x".repeat(512), ..good }).is_ok());
    assert_eq!(run.posture.exceptions().count(), 1);
}

#[test]
fn it_ends_by_itself_and_what_was_left_is_told_again() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[PLAIN.to_owned()]);
    let id = one(&run, "plain_http").id;
    assert_eq!(told(&mut run), [(Why::New, id)]);
    assert_eq!(except_for(&mut run, 120), Ok(id));
    let left = one(&run, "plain_http");
    assert!(matches!(&left.state, WeaknessState::Excepted { by, .. } if by == "anna"), "{:?}", left.state);
    assert_eq!(run.posture.drain_closed().len(), 1, "its alert is over");
    // It is seen again all the while, and nobody hears of it.
    at(&mut run, &[PLAIN.replace("\"times\"", "\"at_m\": 60, \"times\"")]);
    assert!(!one(&run, "plain_http").is_open());
    assert_eq!(told(&mut run), []);
    let last_minute_ms = exception(&run, 0).until_ms.max(left.opened_ms) + 50 * 60_000;
    run.advance(last_minute_ms);
    assert!(!one(&run, "plain_http").is_open());
    run.advance(last_minute_ms + 20 * 60_000);
    assert!(one(&run, "plain_http").is_open());
    assert_eq!(told(&mut run), [(Why::ExceptionEnded, id)]);
    assert_eq!(run.posture.exceptions().count(), 0);
}

#[test]
fn it_is_taken_back_once() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[PLAIN.to_owned()]);
    let id = except_for(&mut run, 120).unwrap();
    run.posture.drain_opened();
    let now_ms = run.now_ms;
    assert!(run.posture.withdraw(now_ms, id));
    assert!(one(&run, "plain_http").is_open());
    assert_eq!(told(&mut run), [(Why::ExceptionEnded, id)]);
    assert!(!run.posture.withdraw(now_ms, id));
    assert_eq!(told(&mut run), []);
}

#[test]
fn it_makes_nothing_safer() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[PLAIN.to_owned()]);
    let score = |run: &mut Run| run.posture.drain_scores().into_iter().map(|score| score.score).collect::<Vec<_>>();
    assert_eq!(score(&mut run).len(), 2, "an endpoint and its service");
    except_for(&mut run, 120).unwrap();
    run.advance(run.now_ms + 61 * 60_000);
    assert_eq!(score(&mut run), [] as [f32; 0], "no score has changed");
}

#[test]
fn it_may_come_before_what_it_is_for_and_outlast_it() {
    let mut run = run_of(Settings::default());
    let id = except_for(&mut run, 3 * 24 * 60).unwrap();
    at(&mut run, &[PLAIN.to_owned()]);
    assert_eq!((one(&run, "plain_http").id, one(&run, "plain_http").is_open()), (id, false));
    assert_eq!(told(&mut run), []);
    // It is fixed, and comes back within the exception.
    let secure =
        PLAIN.replace("plain_http", "https").replace("30", "200").replace("\"times\"", "\"at_m\": 90, \"times\"");
    at(&mut run, &[secure]);
    assert_eq!(one(&run, "plain_http").state, WeaknessState::Fixed);
    assert_eq!(run.posture.drain_closed(), [], "it was not open");
    at(&mut run, &[PLAIN.replace("\"times\"", "\"at_m\": 200, \"times\"")]);
    assert!(matches!(one(&run, "plain_http").state, WeaknessState::Excepted { .. }));
    assert_eq!(told(&mut run), []);
    // It ends while nothing is there: nobody hears of it.
    let mut run = run_of(Settings::default());
    except_for(&mut run, 60).unwrap();
    run.advance(run.now_ms + 2 * MINUTES_OF_AN_HOUR);
    assert_eq!((told(&mut run), run.posture.exceptions().count()), (vec![], 0));
}

#[test]
fn scores_name_whom_they_are_of() {
    let mut run = run_of(Settings::default());
    at(&mut run, &[PLAIN.to_owned()]);
    let subjects: Vec<ScoreSubject> = run.posture.drain_scores().into_iter().map(|score| score.subject).collect();
    assert!(
        matches!(&subjects[..], [ScoreSubject::Endpoint(_), ScoreSubject::Service(key)] if *key == service_key("shop"))
    );
}
