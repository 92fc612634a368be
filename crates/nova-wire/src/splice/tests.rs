use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::peek::tests::any_json;

fn check(body: &str, edits: &[Edit<'_>], expected: &str) {
    let fields = fields(body.as_bytes()).expect("an object");
    let out = apply(body.as_bytes(), &fields, edits);
    assert_eq!(String::from_utf8_lossy(&out), expected, "{body} {edits:?}");
}

fn set<'a>(name: &'a str, json: &str) -> Edit<'a> {
    Edit::Set(name, json.as_bytes().to_vec())
}

#[test]
fn only_the_named_fields_change() {
    let body = "{ \"a\" : 1 ,\n \"b\":[2, 2] , \"c\":{\"a\":3} }";
    check(body, &[], body);
    check(body, &[set("a", "9")], "{ \"a\" : 9 ,\n \"b\":[2, 2] , \"c\":{\"a\":3} }");
    check(body, &[set("z", "9")], "{\"z\":9, \"a\" : 1 ,\n \"b\":[2, 2] , \"c\":{\"a\":3} }");
    check(body, &[Edit::Rename("b", "x")], "{ \"a\" : 1 ,\n \"x\":[2, 2] , \"c\":{\"a\":3} }");
    check(body, &[Edit::Remove("a")], "{ \"b\":[2, 2] , \"c\":{\"a\":3} }");
    check(body, &[Edit::Remove("b")], "{ \"a\" : 1 , \"c\":{\"a\":3} }");
    check(body, &[Edit::Remove("c")], "{ \"a\" : 1 ,\n \"b\":[2, 2] }");
    check(body, &[Edit::Remove("a"), Edit::Remove("b")], "{ \"c\":{\"a\":3} }");
    check(body, &[Edit::Remove("b"), Edit::Remove("c")], "{ \"a\" : 1 }");
    check(body, &[Edit::Remove("a"), Edit::Remove("b"), Edit::Remove("c")], "{  }");
    check(body, &[Edit::Remove("a"), Edit::Remove("b"), Edit::Remove("c"), set("z", "9")], "{\"z\":9  }");
    check("{}", &[set("y", "1"), set("z", "2")], "{\"y\":1,\"z\":2}");
    check("{}", &[Edit::Remove("a"), Edit::Rename("b", "c")], "{}");
    check(r#"{"a":1,"\u0061":2}"#, &[set("a", "3")], r#"{"a":3}"#);
    check(r#"{"a":1}"#, &[Edit::Rename("a", "b"), set("a", "3")], r#"{"a":3}"#);
}

#[test]
fn replacing_a_value_can_add_fields_in_front() {
    let body = b" {\"m\":\"x\",\"n\":1}";
    assert_eq!(replace(body, 6..9, b"\"longer\"", b"\"s\":true,"), b" {\"s\":true,\"m\":\"longer\",\"n\":1}");
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(fields(b"[1]").expect_err("an array").code, "invalid_type");
    assert_eq!(fields(b"{\"a\":1").expect_err("cut").code, "invalid_json");
}

proptest! {
    #[test]
    fn other_bytes_stay_and_values_are_as_asked(
        pairs in proptest::collection::btree_map("[a-h]{1,2}", any_json(), 0..6),
        edits in proptest::collection::vec((0u8..3, "[a-h]{1,2}", any_json()), 0..4),
        pretty in any::<bool>(),
    ) {
        let mut expected: Map<String, Value> = pairs.into_iter().collect();
        let body = if pretty { serde_json::to_string_pretty(&expected) } else { serde_json::to_string(&expected) };
        let body = body.expect("JSON");
        let places = fields(body.as_bytes()).expect("an object");
        let names: Vec<String> = edits.iter().map(|(_, name, _)| name.clone()).collect();
        let edits: Vec<Edit<'_>> = edits.iter().map(|(kind, name, value)| match kind {
            0 => {
                expected.insert(name.clone(), value.clone());
                Edit::Set(name, value.to_string().into_bytes())
            }
            _ => {
                expected.remove(name);
                Edit::Remove(name)
            }
        }).collect();
        let out = apply(body.as_bytes(), &places, &edits);
        let value: Value = serde_json::from_slice(&out).expect("still JSON");
        prop_assert_eq!(value, Value::Object(expected));
        let text = String::from_utf8(out).expect("text");
        for field in places.iter().filter(|field| !names.contains(&field.name)) {
            let whole = &body[field.key.start..field.value.end];
            prop_assert!(text.contains(whole), "{} lost {}", text, whole);
        }
    }
}
