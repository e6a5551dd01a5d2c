use std::collections::BTreeMap;

use super::*;

#[test]
fn programs_have_a_family_and_a_class() {
    use AgentClass::{App, Bot, Browser, Library, Monitoring, Scanner, Tool, Unknown};
    let cases = [
        ("curl/8.5.0", "curl", Tool),
        ("Wget/1.21.4", "Wget", Tool),
        ("PostmanRuntime/7.39.0", "PostmanRuntime", Tool),
        ("python-requests/2.31.0", "Python Requests", Library),
        ("Python/3.11 aiohttp/3.9.1", "Python aiohttp", Library),
        ("Go-http-client/2.0", "Go-http-client", Library),
        ("okhttp/4.12.0", "okhttp", Library),
        ("axios/1.6.8", "axios", Library),
        ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "Apache-HttpClient", Library),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox", Browser),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Chrome",
            Browser,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
             Mobile/15E148 Safari/604.1",
            "Mobile Safari",
            Browser,
        ),
        // A phone that is called Cubot is no robot.
        (
            "Mozilla/5.0 (Linux; Android 11; CUBOT_X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.45 Mobile \
             Safari/537.36",
            "Chrome Mobile",
            Browser,
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot", Bot),
        ("ShopApp/3.2.1 (iPhone; iOS 17.5; Scale/3.00)", "ShopApp", App),
        ("ShopApp/17 CFNetwork/1496.0.7 Darwin/23.5.0", "ShopApp", App),
        ("kube-probe/1.29", "kube-probe", Monitoring),
        ("Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "UptimeRobot", Monitoring),
        ("sqlmap/1.8.2#stable (https://sqlmap.org)", "sqlmap", Scanner),
        ("Mozilla/5.00 (Nikto/2.5.0) (Evasions:None)", "", Scanner),
        ("orders-sync/1.4 (prod)", "orders-sync", Unknown),
        ("Mozilla/5.0", "", Unknown),
        ("\u{f7e9}\u{f7e9}", "", Unknown),
    ];
    let agents = Agents::new();
    for (header, family, class) in cases {
        // The second answer is remembered.
        for _ in 0..2 {
            assert_eq!(agents.look_up(header), (Text::from(family), class), "{header}");
        }
    }
}

#[test]
fn a_header_without_end_costs_no_more_than_its_beginning() {
    let agents = Agents::new();
    let long = format!("{}/1", "é".repeat(HEADER_BYTES_MAX));
    let (family, _) = agents.look_up(&long);
    assert!(family.len() <= ENRICHED_NAME_BYTES_MAX);
    let (family, _) = agents.look_up(&format!("{}/1", "a".repeat(HEADER_BYTES_MAX + 1)));
    assert_eq!(family.len(), ENRICHED_NAME_BYTES_MAX);
    assert!(agents.seen.iter().all(|(header, _)| header.len() <= HEADER_BYTES_MAX));
}

/// Thousands of crawlers' headers, collected by others: hardly any may pass for a browser or an app.
#[test]
fn crawlers_do_not_pass_for_people() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/behaviour/crawler-ua/crawler-user-agents.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("not checked: {path} is missing");
        return;
    };
    let crawlers: serde_json::Value = serde_json::from_str(&text).unwrap();
    let crawlers = crawlers.as_array().unwrap().iter();
    let headers = crawlers.flat_map(|crawler| crawler["instances"].as_array().unwrap());
    let agents = Agents::new();
    let (mut classes, mut count) = (BTreeMap::<&str, u32>::new(), 0);
    for header in headers.filter_map(|header| header.as_str()) {
        *classes.entry(agents.look_up(header).1.as_str()).or_default() += 1;
        count += 1;
    }
    let people = ["browser", "app"].iter().filter_map(|class| classes.get(class)).sum::<u32>();
    println!("of {count}: {classes:?}");
    assert!(count > 2000 && people * 100 <= count * 6, "of {count}: {classes:?}");
}
