"""Which columns look like identifiers."""

import pytest

from cmrbias.cohorts.identifiers import identifying_columns, leave_out_identifiers, patient_columns


@pytest.mark.parametrize(
    "name",
    [
        "patient",
        "Patient",
        "patient_id",
        "PatientID",
        "patientid",
        "subject",
        "subject-id",
        "Patient No.",
        "MRN",
    ],
)
def test_patients(name):
    assert patient_columns(["age", name]) == [name]
    assert identifying_columns(["age", name]) == [name]


@pytest.mark.parametrize(
    "name",
    ["study_id", "StudyInstanceUID", "AccessionNumber", "accession", "PatientName", "surname", "Name",
     "OriginalID", "BirthDate", "date_of_birth", "PatientBirthDate", "dob", "SeriesInstanceUID", "image_id",
     "table_study"],
)  # fmt: skip
def test_other_identifiers(name):
    assert identifying_columns([name, "age"]) == [name]
    assert patient_columns(["patient_sex"]) == []


@pytest.mark.parametrize(
    "name",
    ["patient_sex", "PatientAge", "study_date", "scanner_name", "covid", "steroid", "birth_weight",
     "field_strength", "projection", "death_offset", "patient_weight", "visit_number", "site"],
)  # fmt: skip
def test_what_tells_nobody(name):
    assert identifying_columns([name]) == []


def test_they_are_taken_out_of_rows():
    rows = [
        {"case": "1", "patient": "p", "MRN": "7", "age": 3},
        {"case": "2", "patient": "q", "name": "Meier"},
    ]
    assert leave_out_identifiers(rows, ("case", "patient")) == ["MRN", "name"]
    assert rows == [{"case": "1", "patient": "p", "age": 3}, {"case": "2", "patient": "q"}]
