use super::*;

#[test]
fn the_catalogue_of_the_program_is_right() {
    Catalog::builtin().unwrap();
}
