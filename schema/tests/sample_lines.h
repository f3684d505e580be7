// Reading the recorded samples beside this file: one JSON object per line.
#pragma once

#include <boost/json.hpp>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace godwit::schema::test {

inline std::vector<boost::json::object> sample_lines(const std::string& name) {
  std::ifstream file(std::string(GODWIT_SCHEMA_SAMPLES) + "/" + name);
  EXPECT_TRUE(file) << "cannot open " << name;
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(boost::json::parse(line).as_object());
  EXPECT_FALSE(lines.empty()) << name << " is empty";
  return lines;
}

inline std::string text_of(const boost::json::value& value) {
  return std::string(value.as_string());
}

}  // namespace godwit::schema::test
