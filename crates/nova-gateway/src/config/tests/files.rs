use std::path::{Path, PathBuf};

use crate::config::{Config, Env, reference, schema, tree};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Answers every reference, so that examples need no real environment.
fn anything() -> Env {
    let variable = |name: &str| match name {
        "DATABASE_URL" => Some("postgres://nova@localhost/nova".into()),
        "DISABLE_STREAMING_BETA" => None,
        name if name.ends_with("_ENDPOINT") => Some("https://cloud.example".into()),
        name if name.contains("TEAM") => Some("nsk_0123456789abcdefghij".into()),
        name => Some(format!("sk-{name}")),
    };
    Env::new(variable, |path| match path.extension() {
        Some(_) => std::fs::read_to_string(path),
        None => Ok("sk-file".into()),
    })
    .with_bytes(|path| match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("nsq") => Ok(super::artefacts::quality(&["deepseek-v4-pro"])),
        _ => Ok(nova_route::task::SHIPPED.to_vec()),
    })
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
}

#[test]
fn every_example_is_loaded_and_names_its_schema() {
    let mut examples = Vec::new();
    files(&root().join("examples"), "yaml", &mut examples);
    assert!(examples.len() >= 6);
    for example in examples {
        let text = std::fs::read_to_string(&example).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../schema/config.schema.json\n"),
            "{example:?}"
        );
        let config = Config::load(&example, &anything()).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(config.warnings.is_empty(), "{example:?}: {:?}", config.warnings);
    }
}

#[test]
fn the_full_example_has_every_key() {
    let full = std::fs::read_to_string(root().join("examples/full.yaml")).unwrap();
    let schema = schema();
    let missing = |schema: &serde_json::Value| -> Vec<String> {
        let keys = schema["properties"].as_object().unwrap().keys();
        keys.filter(|key| !full.contains(&format!("{key}:")) && *key != "routes").cloned().collect()
    };
    assert_eq!(missing(&schema), Vec::<String>::new());
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        // Quirks have a guide of their own; the other form of rules stands in another example.
        if definition["properties"].is_object()
            && !["Quirks", "RawMatchRule", "RawRates"].contains(&name.as_str())
        {
            let missing: Vec<String> = missing(definition).into_iter().filter(|key| key != "rates").collect();
            assert_eq!(missing, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn every_yaml_block_of_the_documentation_is_loaded() {
    let mut pages = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut pages);
    let schema = schema();
    let known = schema["properties"].as_object().unwrap();
    let mut loaded = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("\n```yaml\n").skip(1) {
            let yaml = block.split("\n```").next().unwrap();
            let mut problems = Vec::new();
            let tree =
                tree::read(yaml, &mut problems).unwrap_or_else(|problem| panic!("{page:?}: {problem:?}"));
            let Some(tree::Node { value: tree::Value::Map(entries), .. }) = tree else { continue };
            // A piece of an entry, shown without what stands around it, is YAML and no more.
            if !entries.iter().any(|(key, _)| known.contains_key(&key.text)) {
                assert_eq!(problems, []);
                continue;
            }
            Config::parse(&page.display().to_string(), yaml, &anything())
                .unwrap_or_else(|problems| panic!("{yaml}\n{problems}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "{loaded}");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    let mut undescribed = Vec::new();
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value));
    for (name, definition) in definitions.chain([("RawConfig", &schema)]) {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            if property.get("description").is_none() {
                undescribed.push(format!("{name}.{key}"));
            }
        }
    }
    assert_eq!(undescribed, Vec::<String>::new());
    let text = schema.to_string();
    assert!(text.len() < 200_000, "{} bytes", text.len());
}

#[test]
fn the_reference_page_is_fresh() {
    let page = root().join("docs/reference/configuration.md");
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(written == reference(), "{}: run `novastack gen config-reference > {0}`", page.display());
}

#[test]
fn no_hostile_yaml_makes_it_panic() {
    let corpus = root().join("../shared/badinput/yaml");
    if !corpus.is_dir() {
        println!("skipped: ../shared/badinput/yaml is absent");
        return;
    }
    let mut cases = Vec::new();
    files(&corpus, "yaml", &mut cases);
    assert!(cases.len() > 100);
    for case in cases {
        let bytes = std::fs::read(&case).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // A case of the suite holds documents as texts; those are what is hostile.
        let mut documents = vec![text.to_string()];
        if let Ok(Some(mut tree)) = tree::read(&text, &mut Vec::new()) {
            tree.scalars(&mut |_, _, scalar| documents.push(scalar.text.clone()));
        }
        for document in documents {
            let (Ok(shown) | Err(shown)) = Config::parse("case.yaml", &document, &Env::of([]))
                .map(|config| format!("{config:?}"))
                .map_err(|problems| problems.to_string());
            assert!(!shown.is_empty());
        }
    }
}
