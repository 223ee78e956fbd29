"""Steps for pipelines of scikit-learn. Needs the package `scikit-learn`.

`ImageEncoder` turns images into codes, and `NeighborsTransformer` codes into a graph of their nearest neighbours, which
estimators with `metric="precomputed"` take: classifiers, DBSCAN, t-SNE, UMAP, spectral clustering.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from imgsearch._encoder import Encoder
from imgsearch._errors import BadQuery
from imgsearch._images import Picture
from imgsearch._index import Index, matrix

if TYPE_CHECKING:
    import numpy.typing as npt


class ImageEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns images into codes: `n` images into `[n, code_length]` of float32.

    `encoder` is an encoder file; by default the built-in one. With `hashes`, the bits of the hash follow the code, as 0
    and 1. There is nothing to fit.

    >>> from imgsearch.sklearn import ImageEncoder
    >>> ImageEncoder().fit_transform([samples / "cat.jpg"]).shape
    (1, 30)
    """

    def __init__(self, encoder: str | Path | None = None, *, hashes: bool = False) -> None:
        self.encoder = encoder
        self.hashes = hashes

    def fit(self, X: Iterable[Picture], y: object = None) -> ImageEncoder:
        """Loads the encoder."""
        self.encoder_ = Encoder(self.encoder)
        return self

    def transform(self, X: Iterable[Picture]) -> npt.NDArray[np.float32]:
        """Returns the codes of images."""
        check_is_fitted(self)
        codes, hashes = self.encoder_.encode(X)
        if not self.hashes:
            return codes
        bits = np.unpackbits(hashes, axis=1, bitorder="little")[:, : self.encoder_.bits]
        return np.hstack([codes, bits.astype(np.float32)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> Any:
        # An encoder that runs belongs to its process.
        state = dict(super().__getstate__())
        if "encoder_" in state:
            state["encoder_"] = None
        return state

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if "encoder_" in state:
            self.encoder_ = Encoder(self.encoder)


class NeighborsTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns rows of numbers into a sparse graph of their nearest neighbours by Euclidean distance.

    As `sklearn.neighbors.KNeighborsTransformer`, along the graphs of an imgsearch index: on 100,000 rows, a few in a
    thousand neighbours are others than the nearest. `exact` compares all rows. `ef` is the number of candidates in
    a graph search. In mode `"distance"`, each row gets one neighbour more, because a row that was fitted finds itself.
    Distances are of float32.

    >>> from imgsearch.sklearn import NeighborsTransformer
    >>> rows = numpy.array([[0.0], [1.0], [3.0]])
    >>> NeighborsTransformer(n_neighbors=1).fit_transform(rows).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(
        self,
        *,
        mode: Literal["distance", "connectivity"] = "distance",
        n_neighbors: int = 5,
        exact: bool = False,
        ef: int | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.exact = exact
        self.ef = ef

    def fit(self, X: npt.ArrayLike, y: object = None) -> NeighborsTransformer:
        """Makes an index of the rows, in a temporary folder that goes with this object."""
        rows = matrix("X", X)
        self.folder_ = tempfile.TemporaryDirectory(prefix="imgsearch-")
        self.index_ = Index.build(Path(self.folder_.name) / "index", rows)
        self.n_samples_fit_, self.n_features_in_ = rows.shape
        return self

    def transform(self, X: npt.ArrayLike) -> csr_matrix:
        """Returns a sparse matrix `[rows, fitted rows]` of distances, or of ones in mode `"connectivity"`."""
        check_is_fitted(self)
        if self.mode not in ("distance", "connectivity"):
            raise BadQuery(f'mode is "distance" or "connectivity", not {self.mode!r}')
        k = min(self.n_neighbors + (self.mode == "distance"), self.n_samples_fit_)
        ids, distances = self.index_.nearest(matrix("X", X), k, exact=self.exact, ef=self.ef)
        n = len(ids)
        found = ids >= 0
        starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
        values = distances if self.mode == "distance" else np.ones_like(distances)
        # Row i has the id i + 1.
        return csr_matrix((values[found], ids[found] - 1, starts), shape=(n, self.n_samples_fit_))

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Returns a name for each fitted row."""
        names = [f"neighborstransformer{row}" for row in range(self.n_samples_fit_)]
        return np.array(names, dtype=object)
