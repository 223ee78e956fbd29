"""The steps for scikit-learn, with its own estimators."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import Isomap
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline

from imgsearch import BadQuery
from imgsearch.sklearn import ImageEncoder, NeighborsTransformer


def test_the_graph_is_that_of_scikit_learn() -> None:
    digits = load_digits().data
    ours = NeighborsTransformer(n_neighbors=7, exact=True).fit(digits).transform(digits[:100])
    theirs = KNeighborsTransformer(n_neighbors=7).fit(digits).transform(digits[:100])
    assert ours.shape == theirs.shape == (100, len(digits)) and ours.nnz == theirs.nnz == 800
    for row in range(100):
        assert np.allclose(np.sort(ours[row].data), np.sort(theirs[row].data), atol=1e-3)
    ones = (
        NeighborsTransformer(mode="connectivity", n_neighbors=3).fit(digits).transform(digits[:9])
    )
    assert ones.nnz == 27 and (ones.data == 1).all()


def test_estimators_take_the_graph() -> None:
    digits = load_digits()
    train, test = slice(0, 1500), slice(1500, None)
    classifier = make_pipeline(
        NeighborsTransformer(n_neighbors=5),
        KNeighborsClassifier(n_neighbors=5, metric="precomputed"),
    )
    classifier.fit(digits.data[train], digits.target[train])
    plain = KNeighborsClassifier(n_neighbors=5).fit(digits.data[train], digits.target[train])
    ours = classifier.score(digits.data[test], digits.target[test])
    assert abs(ours - plain.score(digits.data[test], digits.target[test])) < 0.02
    graph = NeighborsTransformer(n_neighbors=20).fit_transform(digits.data[:400])
    assert DBSCAN(eps=25, metric="precomputed").fit(graph).labels_.max() > 3
    assert Isomap(n_neighbors=20, metric="precomputed").fit_transform(graph).shape == (400, 2)


def test_wrong_values_are_refused() -> None:
    rows = np.eye(3)
    with pytest.raises(BadQuery, match="mode is"):
        NeighborsTransformer(mode="size").fit(rows).transform(rows)  # type: ignore[arg-type]
    with pytest.raises(BadQuery, match="codes of 2 numbers"):
        NeighborsTransformer().fit(rows).transform(rows[:, :2])


def test_images_go_through_a_pipeline(samples: Path) -> None:
    cats = [samples / "cat.jpg", samples / "cat-face.jpg"]
    others = [samples / "coins.jpg", samples / "temple.jpg"]
    pipeline = make_pipeline(ImageEncoder(hashes=True), LogisticRegression())
    pipeline.fit(cats + others, [1, 1, 0, 0])
    assert pipeline.predict(cats + others).tolist() == [1, 1, 0, 0]
    again = pickle.loads(pickle.dumps(pipeline))
    assert np.array_equal(again.predict_proba(cats), pipeline.predict_proba(cats))
    assert ImageEncoder(hashes=True).fit(cats).transform(cats).shape == (2, 286)
