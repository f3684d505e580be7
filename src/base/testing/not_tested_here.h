// What a test says that cannot be run on this machine: always the same words, so that a run can be searched
// for them.
#pragma once

#include <gtest/gtest.h>

/// Ends the test: `if (!has_kvm()) NOT_TESTED_HERE() << "/dev/kvm cannot be used";`
#define NOT_TESTED_HERE() GTEST_SKIP() << "NOT TESTED HERE: "
