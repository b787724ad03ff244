"""Files of data sets: in the folder that ``FASTRNN_DATA`` names, or downloaded to a cache and checked."""

import hashlib
import os
import pathlib
import shutil
import zipfile

from fastrnn.utils.files import replaced_file
from fastrnn.utils.optional import optional_module

_FOLDER = "FASTRNN_DATA"
ORIGIN = "Read from the folder that the environment variable FASTRNN_DATA names, or downloaded where that is possible."

# The address of the files of each folder; {set} is the part of a file's name before the first "_".
_SKTIME = "https://raw.githubusercontent.com/sktime/sktime/v1.2.0/sktime/datasets/data/"
SOURCES = {
    "mr": "https://raw.githubusercontent.com/yoonkim/CNN_sentence/master/{file}",
    "names": "https://raw.githubusercontent.com/spro/practical-pytorch/master/data/names/{file}",
    "japanesevowels": _SKTIME + "{set}/{file}",
    "ucr": _SKTIME + "{set}/{file}",
    "subjectivity": "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/subjectivity.zip",
}

# The SHA-256 of each file that can be downloaded.
CHECKSUMS = {
    "mr/rt-polarity.neg": "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
    "mr/rt-polarity.pos": "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
    "names/Arabic.txt": "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc",
    "names/Chinese.txt": "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465",
    "names/Czech.txt": "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7",
    "names/Dutch.txt": "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3",
    "names/English.txt": "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2",
    "names/French.txt": "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95",
    "names/German.txt": "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db",
    "names/Greek.txt": "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6",
    "names/Irish.txt": "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058",
    "names/Italian.txt": "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4",
    "names/Japanese.txt": "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f",
    "names/Korean.txt": "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136",
    "names/Polish.txt": "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826",
    "names/Portuguese.txt": "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53",
    "names/Russian.txt": "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c",
    "names/Scottish.txt": "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd",
    "names/Spanish.txt": "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7",
    "names/Vietnamese.txt": "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d",
    "japanesevowels/JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    "japanesevowels/JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "subjectivity/plot.tok.gt9.5000": "5ddc9b44dc60d64d651347fcd7bdd489b0c70661e3f768215c16eea36f51204a",
    "subjectivity/quote.tok.gt9.5000": "cc5d85345896d3fa44ca6b826b108418030977f958a004eb97860043b3b37624",
    "ucr/ArrowHead_TEST.ts": "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904",
    "ucr/ArrowHead_TRAIN.ts": "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72",
    "ucr/BasicMotions_TEST.ts": "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
    "ucr/BasicMotions_TRAIN.ts": "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
    "ucr/GunPoint_TEST.ts": "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e",
    "ucr/GunPoint_TRAIN.ts": "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
    "ucr/ItalyPowerDemand_TEST.ts": "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144",
    "ucr/ItalyPowerDemand_TRAIN.ts": "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
    "ucr/OSULeaf_TEST.ts": "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce",
    "ucr/OSULeaf_TRAIN.ts": "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc",
}


def find(name):
    """Return the path of a file of a data set.

    Parameters
    ----------
    name : str
        Its path below the folder that the environment variable ``FASTRNN_DATA`` names. If the variable is not set, the
        file is downloaded, if possible.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        The file is missing, or cannot be downloaded: the message says what to do.
    """
    folder = os.environ.get(_FOLDER)
    if folder:
        path = pathlib.Path(folder) / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: put it there, or let {_FOLDER} name the folder that has {name}."
            )
        return path
    if name not in CHECKSUMS:
        raise FileNotFoundError(
            f"{name} is not downloaded: set the environment variable {_FOLDER} to a folder that has it."
        )
    folder, _, file = name.partition("/")
    return _download(name, SOURCES[folder].format(file=file, set=file.partition("_")[0]))


def _download(name, url):
    pooch = optional_module("pooch", f"Set {_FOLDER} to a folder that has {name}; downloading it needs")
    advice = f"try again later, or put the file into a folder as {name} and set {_FOLDER} to that folder"
    path = pooch.os_cache("fastrnn") / name
    try:
        if url.endswith(".zip"):
            return path if path.is_file() else _extract(pooch, url, path, CHECKSUMS[name])
        is_new = not path.is_file()
        found = pathlib.Path(pooch.retrieve(url, f"sha256:{CHECKSUMS[name]}", fname=path.name, path=path.parent))
        if is_new:  # pooch gives read access to its user alone
            with replaced_file(found) as temporary:
                shutil.copyfile(found, temporary)
        return found
    except ValueError as error:
        raise OSError(f"{url} gave another file than expected (its checksum differs): {advice}.") from error
    except Exception as error:  # pooch passes on the errors of its downloader, of many classes
        raise OSError(f"{url} could not be downloaded ({error}): {advice}.") from error


def _extract(pooch, url, path, checksum):
    """Download an archive and keep the requested file, if its checksum is right."""
    archive = pathlib.Path(pooch.retrieve(url, None, path=path.parent))
    try:
        with zipfile.ZipFile(archive) as content:
            (member,) = (name for name in content.namelist() if name.rpartition("/")[2] == path.name)
            data = content.read(member)
    finally:
        archive.unlink()
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ValueError(f"{path.name} is not the expected file.")
    with replaced_file(path) as temporary:
        temporary.write_bytes(data)
    return path
