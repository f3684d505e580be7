// Runs every fuzz target on the inputs below tests/data/fuzz: what once broke a decoder, and the seeds
// written by hand. A target that finds a promise broken ends the process.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

#define GODWIT_FUZZ_TARGET(name) \
  extern "C" int fuzz_one_##name(const std::uint8_t* data, std::size_t size);  // NOLINT
#include "fuzz_targets.inc"
#undef GODWIT_FUZZ_TARGET

namespace godwit::fuzz {
namespace {

namespace fs = std::filesystem;

struct Target {
  std::string name;
  int (*run)(const std::uint8_t*, std::size_t);
};

void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

const std::vector<Target> targets = {
#define GODWIT_FUZZ_TARGET(name) {#name, fuzz_one_##name},
#include "fuzz_targets.inc"
#undef GODWIT_FUZZ_TARGET
};

const fs::path inputs = fs::path(GODWIT_TEST_DATA) / "fuzz";

class Replay : public testing::TestWithParam<Target> {};

TEST_P(Replay, KeepsItsPromises) {
  const Target& target = GetParam();
  std::vector<fs::path> files;
  if (fs::exists(inputs / target.name))
    for (const auto& file : fs::directory_iterator(inputs / target.name)) files.push_back(file.path());
  std::ranges::sort(files);
  for (const fs::path& path : files) {
    SCOPED_TRACE(path);
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file.is_open());
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    RecordProperty("input", path.filename());
    EXPECT_EQ(target.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 0);
  }
  EXPECT_EQ(target.run(nullptr, 0), 0) << "nothing is an input too";
}

INSTANTIATE_TEST_SUITE_P(Targets, Replay, testing::ValuesIn(targets),
                         [](const auto& target) { return target.param.name; });

TEST(Inputs, AllBelongToATarget) {
  for (const auto& folder : fs::directory_iterator(inputs))
    EXPECT_NE(std::ranges::find(targets, folder.path().filename().string(), &Target::name), targets.end())
        << folder.path();
}

}  // namespace
}  // namespace godwit::fuzz
