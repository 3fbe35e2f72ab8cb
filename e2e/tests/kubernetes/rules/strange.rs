//! What nobody means: a good network with something strange in each of its places, and whole ones.

use serde_json::{Value, json};

/// Every so many places are spoiled, each in one of nine ways; all of them would take minutes.
const EACH: usize = 4;

/// Every place of a value, as JSON pointers.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    let mut visit = |step: &str, below: &Value| {
        let place = format!("{place}/{step}");
        places(below, &place, found);
        found.push(place);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, below)| visit(name, below)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, below)| visit(&index.to_string(), below));
        }
        _ => {}
    }
}

/// What stands in the place of what was meant, in turn.
fn strange(number: usize, meant: &Value) -> Value {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    match number % 9 {
        0 => json!("\u{0000}\u{202e}'\"; DROP"),
        1 => json!(-1),
        2 => json!({"unknown": {"of": "a newer version"}}),
        3 => Value::Null,
        4 => json!("x".repeat(100_000)),
        5 => json!(1e300),
        6 => deep,
        7 => json!([meant, meant]),
        _ => json!("Hologram"),
    }
}

/// Specs that differ from a good one in one place each, and some that are made up whole.
pub fn specs(good: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    places(good, "", &mut found);
    let mut specs = Vec::new();
    for (number, place) in found.iter().enumerate().step_by(EACH) {
        let mut spec = good.clone();
        if let Some(value) = spec.pointer_mut(place) {
            *value = strange(number, value);
        }
        specs.push((format!("{place} {}", number % 9), spec));
    }
    let many: Vec<Value> = (0..400).map(|n| json!({"name": format!("s{n}")})).collect();
    let same = json!([{"name": "ie"}, {"name": "ie"}, {"name": "uk"}]);
    let loops = json!([
        {"name": "a", "between": ["ie", "ie"]},
        {"name": "b", "between": ["ie", "uk"]},
        {"name": "b", "between": ["uk", "ie"]},
        {"name": "c", "between": ["uk", "atlantis"]},
    ]);
    let sites = json!([{"name": "ie"}, {"name": "uk"}]);
    for (name, spec) in [
        ("nothing", json!({})),
        (
            "400 sites in a mesh",
            json!({"sites": many, "topology": {"shape": "Mesh"}}),
        ),
        ("one site twice", json!({"sites": same})),
        ("links in circles", json!({"sites": sites, "links": loops})),
        (
            "a shape of tomorrow",
            json!({"sites": sites, "topology": {"shape": "Hypercube"}}),
        ),
        (
            "a part of tomorrow",
            json!({"sites": sites, "persistence": {"class": "fast"}}),
        ),
        (
            "a path for a name",
            json!({"sites": [{"name": "../../etc"}, {"name": "ie\n"}]}),
        ),
    ] {
        specs.push((name.to_owned(), spec));
    }
    specs
}
