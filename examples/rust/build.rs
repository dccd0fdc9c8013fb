//! Links libconcord.so: that of the folder CONCORD_LIB_DIR, or the one that pkg-config knows.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=CONCORD_LIB_DIR");
    let folder = std::env::var("CONCORD_LIB_DIR").unwrap_or_else(|_| of_pkg_config());
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rustc-link-lib=dylib=concord");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
}

fn of_pkg_config() -> String {
    let output = Command::new("pkg-config")
        .args(["--variable=libdir", "concord"])
        .output()
        .expect("set CONCORD_LIB_DIR to the folder of libconcord.so, or install pkg-config");
    assert!(
        output.status.success(),
        "pkg-config does not know concord; set CONCORD_LIB_DIR to the folder of libconcord.so"
    );
    String::from_utf8(output.stdout)
        .expect("a path in UTF-8")
        .trim()
        .to_string()
}
