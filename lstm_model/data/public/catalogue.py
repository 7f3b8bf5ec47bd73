"""Public data sets that `lstm-text fetch` knows.

The checksums are published: AG News, TREC and Banking77 in huggingface/datasets (dataset_infos.json of each), IMDb in
tensorflow/datasets (url_checksums/imdb_reviews.txt), 20 Newsgroups in scikit-learn (datasets/_twenty_newsgroups.py).
For CLINC150 ten public projects that pin this commit name the same one, and 2,495,390 bytes.
"""

from dataclasses import dataclass

_GITHUB = "https://raw.githubusercontent.com"
_AG_NEWS = f"{_GITHUB}/mhjabreel/CharCnn_Keras/master/data/ag_news_csv"
_TREC = "https://cogcomp.seas.upenn.edu/Data/QA/QC"
_BANKING77 = f"{_GITHUB}/PolyAI-LDN/task-specific-datasets/master/banking_data"


@dataclass(frozen=True)
class PublicFile:
    """A file to download. megabytes: its size, rounded up; more than twice as much is another file."""

    name: str
    urls: tuple[str, ...]  # In the order in which they are tried.
    sha256: str
    megabytes: int


@dataclass(frozen=True)
class PublicDataSet:
    """A data set as its publisher offers it, and what `lstm_model.data.public.readers` makes of it."""

    title: str
    files: tuple[PublicFile, ...]
    homepage: str
    license: str
    citation: str
    text: str  # What a row's text and label are.

    @property
    def megabytes(self) -> int:
        return sum(file.megabytes for file in self.files)


CATALOGUE = {
    "ag-news": PublicDataSet(
        title="AG News, 4 topics",
        files=(
            PublicFile("train.csv", (f"{_AG_NEWS}/train.csv",),
                       "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e", 30),
            PublicFile("test.csv", (f"{_AG_NEWS}/test.csv",),
                       "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699", 2),
        ),
        homepage="http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
        license="for research and other non-commercial use, says the publisher",
        citation="Zhang, Zhao, LeCun: Character-level Convolutional Networks for Text Classification. NIPS 2015",
        text="title and description, joined by a space",
    ),
    "trec": PublicDataSet(
        title="TREC questions, 6 coarse classes",
        files=(
            PublicFile("train_5500.label", (f"{_TREC}/train_5500.label",),
                       "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3", 1),
            PublicFile("TREC_10.label", (f"{_TREC}/TREC_10.label",),
                       "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e", 1),
        ),
        homepage=f"{_TREC}/",
        license="none stated",
        citation="Li, Roth: Learning Question Classifiers. COLING 2002",
        text="the question, tokens separated by spaces; the label is the part before the colon",
    ),
    "imdb": PublicDataSet(
        title="IMDb film reviews, 2 sentiments",
        files=(
            PublicFile("aclImdb_v1.tar.gz", ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
                       "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe", 85),
        ),
        homepage="https://ai.stanford.edu/~amaas/data/sentiment/",
        license="none stated; the publisher asks for the citation",
        citation="Maas, Daly, Pham, Huang, Ng, Potts: Learning Word Vectors for Sentiment Analysis. ACL 2011",
        text="the review, each <br /> replaced by a space; the 50,000 without a label are left out",
    ),
    "banking77": PublicDataSet(
        title="Banking77, 77 intents of bank customers",
        files=(
            PublicFile("train.csv", (f"{_BANKING77}/train.csv",),
                       "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b", 1),
            PublicFile("test.csv", (f"{_BANKING77}/test.csv",),
                       "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d", 1),
        ),
        homepage="https://github.com/PolyAI-LDN/task-specific-datasets",
        license="CC BY 4.0",
        citation="Casanueva, Temcinas, Gerz, Henderson, Vulic: Efficient Intent Detection with Dual Sentence Encoders. "
        "NLP for ConvAI 2020",
        text="the customer's message",
    ),
    "20-newsgroups": PublicDataSet(
        title="20 Newsgroups, 20 newsgroups, split by date",
        files=(
            # The first is scikit-learn's copy; it answers some networks with 403.
            PublicFile("20news-bydate.tar.gz", ("https://ndownloader.figshare.com/files/5975967",
                                                "http://qwone.com/~jason/20Newsgroups/20news-bydate.tar.gz"),
                       "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610", 15),
        ),
        homepage="http://qwone.com/~jason/20Newsgroups/",
        license="none stated; posts of 1993 by their authors",
        citation="Lang: NewsWeeder: Learning to Filter Netnews. ICML 1995",
        text="the post without header, signature and quotes, as scikit-learn advises; posts left empty are left out",
    ),
    "clinc150": PublicDataSet(
        title="CLINC150, 150 intents of an assistant's users",
        files=(
            PublicFile("data_full.json",
                       (f"{_GITHUB}/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json",),
                       "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0", 3),
        ),
        homepage="https://github.com/clinc/oos-eval",
        license="CC BY 3.0",
        citation="Larson et al.: An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction. "
        "EMNLP 2019",
        text="the request; validation rows are the publisher's; those that are out of scope are left out",
    ),
}  # fmt: skip
