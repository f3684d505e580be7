#include "cli/qmp/history.h"

#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli/temporary_directory.h"

namespace godwit::cli::qmp {
namespace {

using ::testing::ElementsAre;

TEST(HistoryFile, KeepsLinesAcrossSessionsForItsOwnerAlone) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const HistoryFile one(directory->file("state/godwit/qmp-history"));
  EXPECT_THAT(*one.load(), ElementsAre());
  ASSERT_TRUE(one.add("query-status"));
  const HistoryFile other(one.path());
  ASSERT_TRUE(other.add("migrate uri='a b'"));
  ASSERT_TRUE(one.add("stop"));
  EXPECT_THAT(*one.load(), ElementsAre("query-status", "migrate uri='a b'", "stop"));
  struct stat status{};
  ASSERT_EQ(::stat(one.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(HistoryFile, IsCutWhenItHasGrown) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const HistoryFile file(directory->file("h"));
  {
    std::ofstream out(file.path());
    for (int i = 0; i < 2500; ++i) out << "line " << i << "\n";
  }
  const auto lines = file.load();
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->size(), 1000u);
  EXPECT_EQ(lines->back(), "line 2499");
  std::ifstream in(file.path());
  std::string first;
  std::getline(in, first);
  EXPECT_EQ(first, "line 1500");
}

TEST(HistoryFile, ThatCannotBeWrittenSaysWhere) {
  const HistoryFile file("/proc/no/such/file");
  const auto added = file.add("x");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().what(), ::testing::HasSubstr("/proc/no/such"));
}

}  // namespace
}  // namespace godwit::cli::qmp
