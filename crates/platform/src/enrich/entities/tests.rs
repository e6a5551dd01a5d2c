use outrider_model::{Field, KeyId, Named, Pseudonym};

use super::super::tests::call;
use super::*;

fn path(name: &str, path: &str) -> EntitySettings {
    EntitySettings { name: name.to_owned(), path: Some(path.to_owned()), ..EntitySettings::default() }
}

fn found(settings: &[EntitySettings], call: &ApiCall<'_>) -> (Vec<String>, u64) {
    let mut entities = Vec::new();
    let left_out = Entities::new(settings).unwrap().find(call, &mut entities);
    (entities.iter().map(|entity| format!("{}={}", entity.name, entity.value)).collect(), left_out)
}

#[test]
fn a_path_names_what_stands_at_the_parameter() {
    let cases = [
        ("/merchants/{id}", "/merchants/42", Some("42")),
        ("/merchants/{id}", "/merchants/42/", Some("42")),
        ("/merchants/{id}", "//merchants//42", Some("42")),
        ("/merchants/{id}", "/merchants", None),
        ("/merchants/{id}", "/merchants/", None),
        ("/merchants/{id}", "/merchants/42/orders", None),
        ("/merchants/{id}", "/Merchants/42", None),
        ("/merchants/{id}", "/shops/42", None),
        ("/merchants/{id}/**", "/merchants/42", Some("42")),
        ("/merchants/{id}/**", "/merchants/42/orders/7", Some("42")),
        ("/*/merchants/{id}/orders/*", "/v1/merchants/42/orders/7", Some("42")),
        ("/*/merchants/{id}/orders/*", "/v1/merchants/42/orders", None),
        ("/merchants/{id}", "/merchants/a%20b%2Fc", Some("a b/c")),
        ("/merchants/{id}", "/merchants/%FF", Some("%FF")),
        ("/merchants/{id}", "/merchants/%20", None),
        ("/h%C3%A4ndler/{id}", "/h%C3%A4ndler/1", Some("1")),
        ("/{id}/**", "/42", Some("42")),
        ("/{id}", "/", None),
    ];
    for (pattern, given, expected) in cases {
        let (entities, left_out) = found(&[path("merchant_id", pattern)], &call(given));
        let expected: Vec<String> = expected.iter().map(|value| format!("merchant_id={value}")).collect();
        assert_eq!((entities, left_out), (expected, 0), "{pattern} of {given}");
    }
}

#[test]
fn fields_name_what_they_carry_in_clear_or_as_a_pseudonym() {
    let clear = |name, value: &str| Field { name: Text::from(name), value: FieldValue::Clear(value.to_owned().into()) };
    let pseudonym = Pseudonym { key: KeyId(1), tag: [3; 16] };
    let mut call = call("/");
    call.query = vec![
        clear("merchant", " 42 "),
        clear("merchant", "43"),
        clear("merchant", "42"),
        clear("Merchant", "44"),
        clear("merchant", ""),
        Field { name: "merchant".into(), value: FieldValue::Flag },
    ];
    call.headers = vec![
        clear("x-merchant", "h"),
        Field { name: "x-tenant".into(), value: FieldValue::Pseudonym(pseudonym, 10) },
        Field { name: "x-secret".into(), value: FieldValue::Redacted },
    ];
    call.fields = vec![
        clear("merchant", "mapped"),
        Field { name: "account".into(), value: FieldValue::Pseudonym(pseudonym, 14) },
    ];
    let query = EntitySettings { name: "m".into(), query: Some("merchant".into()), ..EntitySettings::default() };
    let header =
        |name: &str| EntitySettings { name: "h".into(), header: Some(name.into()), ..EntitySettings::default() };
    let field = |name: &str| EntitySettings { name: "f".into(), field: Some(name.into()), ..EntitySettings::default() };
    let cases = [
        (query, vec!["m=42".to_owned(), "m=43".to_owned()]),
        (field("merchant"), vec!["f=mapped".to_owned()]),
        (field("account"), vec![format!("f={pseudonym}")]),
        (field("Merchant"), vec![]),
        (header("X-Merchant"), vec!["h=h".to_owned()]),
        (header("x-tenant"), vec![format!("h={pseudonym}")]),
        (header("x-secret"), vec![]),
        (header("x-absent"), vec![]),
    ];
    for (settings, expected) in cases {
        assert_eq!(found(std::slice::from_ref(&settings), &call), (expected, 0), "{settings:?}");
    }
}

#[test]
fn a_service_may_be_asked_for() {
    let of = |service: &str| EntitySettings { service: Some(service.to_owned()), ..path("id", "/{id}") };
    let mut call = call("/42");
    assert!(found(&[of("shop")], &call).0.is_empty(), "a call without a service");
    call.service = Some(Named { id: "s-1".into(), name: "shop".into() });
    for (service, expected) in [("shop", 1), ("s-1", 1), ("other", 0)] {
        assert_eq!(found(&[of(service)], &call).0.len(), expected, "{service}");
    }
}

#[test]
fn what_is_too_long_or_too_much_is_left_out_and_counted() {
    let long = format!("/{}", "x".repeat(ENTITY_VALUE_BYTES_MAX + 1));
    assert_eq!(found(&[path("id", "/{id}")], &call(&long)), (vec![], 1));
    let mut call = call("/");
    let field = |value: usize| Field { name: "q".into(), value: FieldValue::Clear(value.to_string().into()) };
    call.query = (0..ENTITIES_MAX + 3).map(field).collect();
    let settings = EntitySettings { name: "q".into(), query: Some("q".into()), ..EntitySettings::default() };
    let (entities, left_out) = found(&[settings], &call);
    assert_eq!((entities.len(), left_out), (ENTITIES_MAX, 3));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let good = path("m", "/m/{id}");
    let cases = [
        (EntitySettings { name: String::new(), ..good.clone() }, "1 to 64 lower-case"),
        (EntitySettings { name: "Merchant".into(), ..good.clone() }, "lower-case"),
        (EntitySettings { name: "m".repeat(65), ..good.clone() }, "1 to 64"),
        (EntitySettings { name: "consumer".into(), ..good.clone() }, "meaning of its own"),
        (EntitySettings { query: Some("q".into()), ..good.clone() }, "exactly one of"),
        (EntitySettings { field: Some("f".into()), ..good.clone() }, "exactly one of"),
        (EntitySettings { path: None, ..good.clone() }, "exactly one of"),
        (EntitySettings { path: None, header: Some(String::new()), ..good.clone() }, "exactly one of"),
        (path("m", "m/{id}"), "begins with `/`"),
        (path("m", "/m/x"), "has 0 parameters"),
        (path("m", "/{a}/{b}"), "has 2 parameters"),
        (path("m", "/m-{id}"), "the segment `m-{id}`"),
        (path("m", "/{id}/**/x"), "the segment `**`"),
        (path("m", "/{id}/x**"), "the segment `x**`"),
        (path("m", "/{}"), "the segment `{}`"),
        (path("m", &format!("/{{id}}{}", "/x".repeat(SEGMENTS_MAX))), "at most 32"),
    ];
    for (settings, words) in cases {
        let error = Entities::new(std::slice::from_ref(&settings)).err().unwrap().to_string();
        assert!(error.contains(words), "{settings:?}\ngave: {error}");
    }
    let many: Vec<_> = (0..=DECLARED_MAX).map(|n| path(&format!("m{n}"), "/{id}")).collect();
    assert!(Entities::new(&many).err().unwrap().to_string().contains("at most 32"));
}
