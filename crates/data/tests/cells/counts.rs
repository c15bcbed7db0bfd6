//! Matrices of counts in their formats.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tenon_base::Error;
use tenon_data::cells::{Counts, GenesAre, read_mtx, read_table};

use super::{Files, TABLE, first, is_data, table};

#[test]
fn tables_of_either_side_and_matrices_give_the_same_counts() {
    let by_cell = table("a.csv", TABLE, None).unwrap();
    assert_eq!(
        by_cell,
        table("a.csv", TABLE, Some(GenesAre::Columns)).unwrap()
    );
    let by_gene = "\tc1\tc2\tc3\nA\t1\t0\t0\nB\t4\t0\t0\nC\t1\t3\t0\nD\t2\t0\t0\nX\t2\t7\t5\n";
    assert_eq!(by_cell, table("a.tsv", by_gene, None).unwrap());
    let without_corner = by_gene.trim_start();
    assert_eq!(by_cell, table("a.tsv", without_corner, None).unwrap());
    let entries = "1 1 1\n2 1 4\n3 1 1\n4 1 2\n5 1 2\n5 2 7\n3 2 3\n5 3 5\n1 3 0\n";
    let matrix = format!("%%MatrixMarket matrix coordinate integer general\n%x\n5 3 9\n{entries}");
    let genes = "A\tname\tGene Expression\nB\nC\nD\nX\n";
    let cells = "c1\nc2\nc3\n";
    assert_eq!(by_cell, mtx(&matrix, genes, cells).unwrap());
    let turned: String = entries
        .lines()
        .map(|line| {
            let numbers: Vec<&str> = line.split(' ').collect();
            format!("{} {} {}.0\n", numbers[1], numbers[0], numbers[2])
        })
        .collect();
    let matrix = format!("%%MatrixMarket matrix coordinate real general\n3 5 9\n{turned}");
    assert_eq!(by_cell, mtx(&matrix, genes, cells).unwrap());
    assert_eq!(by_cell.n_entries(), 8);
}

#[test]
fn packed_matrices_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        let mut packer = GzEncoder::new(file, Compression::default());
        packer.write_all(content.as_bytes()).unwrap();
        packer.finish().unwrap();
        folder.path().join(name)
    };
    let matrix = "%%MatrixMarket matrix coordinate integer general\n2 1 1\n2 1 3\n";
    let counts = read_mtx(
        &write("matrix.mtx.gz", matrix),
        &write("features.tsv.gz", "A\nB\n"),
        &write("barcodes.tsv.gz", "c\n"),
    )
    .unwrap();
    assert_eq!(counts.cell(0), (&[1u32][..], &[3.0][..]));
    let counts = read_table(&write("a.tsv.gz", "x\tA\nc\t2\n"), None, &first()).unwrap();
    assert_eq!(counts.cell(0), (&[0u32][..], &[2.0][..]));
}

fn mtx(matrix: &str, genes: &str, cells: &str) -> Result<Counts, Error> {
    let files = Files::new(&[
        ("matrix.mtx", matrix),
        ("genes.tsv", genes),
        ("cells.tsv", cells),
    ]);
    read_mtx(
        &files.path("matrix.mtx"),
        &files.path("genes.tsv"),
        &files.path("cells.tsv"),
    )
}

#[test]
fn tables_that_lie() {
    let rejects = |content: &str, message: &str, place: &str| {
        is_data(table("a.csv", content, None).unwrap_err(), message, place);
    };
    rejects("", "the file is empty", "a.csv");
    rejects("cell,A\nc1,-1\n", "a count of -1", "a.csv:2:2");
    rejects("cell,A\nc1,NaN\n", "a count of NaN", "a.csv:2:2");
    rejects("cell,A\nc1,inf\n", "a count of inf", "a.csv:2:2");
    rejects("cell,A\nc1,x\n", "`x` is not a number", "a.csv:2:2");
    rejects("cell,A\nc1,\n", "`` is not a number", "a.csv:2:2");
    rejects("cell,A,B\nc1,1,2\nc2,1\n", "a name and 1 counts", "a.csv:3");
    rejects(
        "cell,A,A\nc1,1,2\n",
        "genes 1 and 2 are both called `A`",
        "a.csv",
    );
    rejects(
        "cell,A,B\nc,1,2\nc,1,2\n",
        "cells 1 and 2 are both called `c`",
        "a.csv",
    );
    rejects("cell,A,\nc,1,2\n", "gene 2 has no name", "a.csv");
    rejects("cell,P,Q\nc,1,2\n", "0 names of the rows", "a.csv");
    rejects("cell,A\n", "there are no cells", "a.csv");
    for name in ["a.h5ad", "a.h5", "a.loom"] {
        let error = table(name, "\u{89}HDF", None).unwrap_err();
        assert!(
            error.hint_text().unwrap().contains("scipy.io.mmwrite"),
            "{error}"
        );
        is_data(error, "cannot read counts", name);
    }
}

#[test]
fn matrices_that_lie() {
    let header = "%%MatrixMarket matrix coordinate integer general\n";
    let rejects = |matrix: &str, message: &str, place: &str| {
        is_data(
            mtx(matrix, "A\nB\n", "c\nd\ne\n").unwrap_err(),
            message,
            place,
        );
    };
    let after = |rest: &str| format!("{header}{rest}");
    rejects("2 3 0\n", "not a MatrixMarket file", "matrix.mtx:1");
    for kind in [
        "array real general",
        "coordinate pattern general",
        "coordinate real symmetric",
    ] {
        let matrix = format!("%%MatrixMarket matrix {kind}\n2 3 0\n");
        rejects(&matrix, "cannot read counts from", "matrix.mtx:1");
    }
    rejects(header, "the sizes of the matrix is missing", "matrix.mtx:1");
    rejects(&after("2 x 0\n"), "is not the sizes", "matrix.mtx:2");
    rejects(&after("2 3 1\n1 1\n"), "2 numbers where", "matrix.mtx:3");
    rejects(
        &after("2 3 1\n0 1 1\n"),
        "row 0 of a matrix with 2 rows",
        "matrix.mtx:3",
    );
    rejects(
        &after("2 3 1\n3 1 1\n"),
        "row 3 of a matrix with 2 rows",
        "matrix.mtx:3",
    );
    rejects(
        &after("2 3 1\n1 4 1\n"),
        "column 4 of a matrix",
        "matrix.mtx:3",
    );
    rejects(&after("2 3 1\n1 1 -2\n"), "a count of -2", "matrix.mtx:3");
    rejects(
        &after("2 3 2\n1 1 1\n"),
        "1 entries where 2 are announced",
        "matrix.mtx",
    );
    rejects(
        &after("2 3 2\n1 1 1\n1 1 2\n"),
        "two counts of gene `A` in cell `c`",
        "matrix.mtx",
    );
    rejects(
        &after("4 3 0\n"),
        "a matrix of 4 × 3 beside 2 genes and 3 cells",
        "matrix.mtx",
    );
    rejects(
        &after("99999999999999999999 3 0\n"),
        "is not the sizes",
        "matrix.mtx:2",
    );
}
