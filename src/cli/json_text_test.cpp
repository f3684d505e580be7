#include "cli/json_text.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

TEST(JsonText, IsIndentedAndReadsBackAsItWas) {
  const boost::json::value value = {{"name", "a \"b\"\n"}, {"ms", 5.39},
                                    {"whole", 2.0},        {"count", 7},
                                    {"none", nullptr},     {"empty", boost::json::object()},
                                    {"list", {1, true}},   {"no", boost::json::array()}};
  const auto text = pretty(value);
  EXPECT_EQ(text,
            "{\n"
            "  \"name\": \"a \\\"b\\\"\\n\",\n"
            "  \"ms\": 5.39,\n"
            "  \"whole\": 2,\n"
            "  \"count\": 7,\n"
            "  \"none\": null,\n"
            "  \"empty\": {},\n"
            "  \"list\": [\n"
            "    1,\n"
            "    true\n"
            "  ],\n"
            "  \"no\": []\n"
            "}\n");
  EXPECT_EQ(boost::json::parse(text).at("ms").as_double(), 5.39);
  EXPECT_EQ(compact(value),
            R"({"name": "a \"b\"\n", "ms": 5.39, "whole": 2, "count": 7, "none": null, "empty": {}, )"
            R"("list": [1, true], "no": []})");
}

}  // namespace
}  // namespace godwit::cli
