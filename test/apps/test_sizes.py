"""Sizes that no machine has memory for are refused at once, and large ones take no more memory than they need."""

import resource
import time
import unittest

import numpy as np

import cases
from flows import FlowTest
from harness import SANITIZED

AT_ONCE = 20  # seconds, on a machine that does other work as well


class Sizes(FlowTest):
    def assertRefusedAtOnce(self, arguments, *messages, code=2, **options):
        begin = time.monotonic()
        run = self.run_program("flow_train", *arguments, "-o", "no.h5", **options)
        self.assertFailure(run, code, *messages)
        self.assertLess(time.monotonic() - begin, AT_ONCE)
        self.assertEqual(self.files(), self.kept)

    def wide(self, name, d, n=40):
        self.put(name, {"x": np.random.default_rng(1).normal(size=(n, d)).astype(np.float32)})
        self.kept = self.files()
        return f"{name}:/x"

    def setUp(self):
        super().setUp()
        self.kept = self.files()

    def test_sizes_of_options_are_refused(self):
        toy = ["--data.rows", 1000]
        wide = ["--model.hidden", "65536,65536,65536"]
        for flags, *messages in [
                (wide, "transform 1 (residual)", "parameters of 28 bytes each", "GB of memory, and", "are available",
                 "fewer or narrower hidden layers"),
                (["--model.kind", "maf", *wide], "(autoregressive)", "GB of memory, and", "are available"),
                (["--model.kind", "realnvp", "--model.precision", "double", "--train.reproducible", "true", *wide],
                 "parameters of 248 bytes each", "TB of memory, and", "are available"),
                (["--data.rows", 10**12], "rows of 2 columns need", "TB of memory, and", "fewer rows or columns"),
                (["--train.batch", 10**12], "train.batch"),
                (["--model.blocks", 10**9], "model.blocks")]:
            with self.subTest(flags):
                arguments = flags if "--data.rows" in flags else toy + flags
                self.assertRefusedAtOnce(arguments, *messages)
        self.assertRefusedAtOnce([*toy, *wide], "parameters of 56 bytes each", "GB of memory, and", ranks=2)

    def test_the_covariance_of_many_columns_is_refused(self):
        file = self.wide("wide.h5", 400_000, 12)
        self.assertRefusedAtOnce(["--data", file, "--data.standardize", "whiten"], "the covariance of 400000 columns needs",
                                 "TB of memory, and", "data.standardize = scale")
        file = self.wide("narrow.h5", 8000)
        self.assertRefusedAtOnce(["--data", file, "--data.standardize", "whiten"],
                                 "32 rows for training have no covariance of 8000 columns", code=3)

    def test_matrices_of_all_channels_are_refused(self):
        file = self.wide("wide.h5", 40_000, 12)
        self.assertRefusedAtOnce(["--data", file, "--model.kind", "glow"], "parameters of 28 bytes each, up to 'linear "
                                 "transforms', need", "GB of memory, and")

    def test_a_log_det_that_needs_too_much_is_refused(self):
        file = self.wide("wide.h5", 8000)
        self.assertRefusedAtOnce(["--data", file, "--model.blocks", 2], "evaluation: a sample takes",
                                 "train.workspace is 256 MB", "log_det.evaluate = \"krylov:8\"")

    @unittest.skipIf(SANITIZED, "sanitizers need memory of their own")
    def test_memory_grows_with_the_columns_and_not_with_their_square(self):
        file = self.wide("wide.h5", 8000)
        begin = time.monotonic()
        self.succeed("flow_train", "--data", file, "--model.blocks", 2, "--log_det.evaluate", "krylov:8", "--dry-run")
        self.assertLess(time.monotonic() - begin, AT_ONCE)
        # The largest program so far, in kilobytes. A single square matrix of the columns would take 512 MB.
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 500_000)

    @unittest.skipIf(SANITIZED, "sanitizers reserve more addresses than any limit")
    def test_the_limit_of_a_process_counts(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, resource.RLIM_INFINITY))

        # 20 million parameters. One of them takes 28 bytes, and 124 if its gradients are kept in eight parts.
        model = ["--model.kind", "maf", "--model.blocks", 4, "--model.hidden", "2200,2200", "--data.rows", 1000]
        self.succeed("flow_train", *model, "--dry-run", preexec_fn=limit)
        self.assertRefusedAtOnce([*model, "--train.reproducible", "true"], "need 1.81 GB of memory, and", "GB are available",
                                 preexec_fn=limit)


cases.main()
