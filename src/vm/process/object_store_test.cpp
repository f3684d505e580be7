#include "vm/process/object_store.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "vm/process/object_types.h"

namespace godwit::vm {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

boost::json::object json(const char* text) {
  return boost::json::parse(text).as_object();
}

std::vector<std::string> names(const std::vector<schema::ObjectPropertyInfo>& properties) {
  std::vector<std::string> list;
  for (const auto& property : properties) list.push_back(property.name);
  return list;
}

std::vector<std::string> type_names(const std::optional<std::string>& ancestor, bool with_abstract) {
  std::vector<std::string> list;
  for (const auto& type : object_types(ancestor, with_abstract)) list.push_back(type.name);
  return list;
}

class Objects : public testing::Test {
 protected:
  std::string add_error(const char* text) {
    auto added = store_.add(json(text));
    return added ? "no error" : added.error().what();
  }

  ObjectStore store_{"pc-godwit-1.0"};
};

TEST_F(Objects, ShowWhatTheyWereMadeOf) {
  ASSERT_TRUE(store_.add(json(R"({"qom-type":"memory-backend-memfd","id":"m","size":65536})")));
  EXPECT_EQ(store_.get("/objects/m", "size").value(), 65536);
  EXPECT_EQ(store_.get("m", "share").value(), true);
  EXPECT_EQ(store_.get("objects/m", "type").value(), "memory-backend-memfd");
  EXPECT_EQ(store_.get("/objects", "type").value(), "container");
  EXPECT_EQ(store_.get("/machine", "type").value(), "pc-godwit-1.0-machine");
  EXPECT_EQ(store_.get("/machine", "memory-backend").value(), "");
  EXPECT_THAT(names(store_.list("/").value()), ElementsAre("type", "objects", "machine"));
  EXPECT_THAT(names(store_.list("/objects/").value()), ElementsAre("type", "m"));
  EXPECT_THAT(names(store_.list("/objects/m").value()), Contains("size"));
}

TEST_F(Objects, AreRemovedUnlessTheMachineUsesThem) {
  MemoryBackend ram;
  ram.id = "ram";
  ram.size = 4096;
  store_.adopt_machine_memory(ram);
  EXPECT_EQ(store_.remove("ram").error().what(), "object 'ram' is in use, can not be deleted");
  EXPECT_EQ(store_.get("/machine", "memory-backend").value(), "/objects/ram");
  ASSERT_TRUE(store_.add(json(R"({"qom-type":"memory-backend-ram","id":"m","size":4096})")));
  EXPECT_TRUE(store_.remove("m"));
  EXPECT_EQ(store_.remove("m").error().what(), "object 'm' not found");
}

TEST_F(Objects, CannotBeChanged) {
  ASSERT_TRUE(store_.add(json(R"({"qom-type":"memory-backend-ram","id":"m","size":4096})")));
  EXPECT_EQ(store_.set("/objects/m", "size", 1).error().what(),
            "cannot change property size of memory-backend-ram ");
  EXPECT_EQ(store_.set("/objects/m", "share", true).error().what(), "cannot change property value");
  EXPECT_EQ(store_.set("/objects/m", "type", "x").error().what(),
            "Property 'memory-backend-ram.type' is not writable");
  EXPECT_EQ(store_.set("/objects/m", "nope", 1).error().what(),
            "Property 'memory-backend-ram.nope' not found");
}

TEST_F(Objects, NamePathsThatLeadNowhere) {
  for (const char* path : {"/nope", "nope", "", "/objects/nope", "/m"}) {
    ASSERT_FALSE(store_.get(path, "size")) << path;
    EXPECT_EQ(store_.get(path, "size").error().error_class(), ErrorClass::device_not_found);
  }
  EXPECT_EQ(store_.list("/nope").error().what(), "Device '/nope' not found");
  EXPECT_EQ(store_.get("/", "nope").error().what(), "Property 'container.nope' not found");
}

TEST_F(Objects, AreRefusedWithTheTextsOfTheReference) {
  EXPECT_EQ(add_error(R"({"qom-type":"bogus","id":"z"})"),
            "Parameter 'qom-type' does not accept value 'bogus'");
  EXPECT_EQ(add_error(R"({"qom-type":"memory-backend-ram","id":"z"})"), "Parameter 'size' is missing");
  EXPECT_EQ(add_error(R"({"qom-type":"memory-backend-ram","id":"z","size":0})"),
            "property 'size' of memory-backend-ram doesn't take value '0'");
  EXPECT_EQ(add_error(R"({"qom-type":"tls-creds-x509","id":"z"})"), "Missing 'dir' property value");
  EXPECT_EQ(
      add_error(R"({"qom-type":"memory-backend-file","id":"z","size":4096,"mem-path":"/nonexistent/x"})"),
      "can't open backing store /nonexistent/x for guest RAM: No such file or directory");
  ASSERT_TRUE(store_.add(json(R"({"qom-type":"memory-backend-ram","id":"m","size":4097})")));
  EXPECT_EQ(add_error(R"({"qom-type":"memory-backend-ram","id":"m","size":4096})"),
            "attempt to add duplicate property 'm' to object (type 'container')");
}

TEST(ObjectTypes, AreListedByAncestor) {
  EXPECT_THAT(type_names("accel", false), Contains("kvm-accel"));
  EXPECT_THAT(type_names("accel", false), Not(Contains("memory-backend-ram")));
  EXPECT_THAT(type_names("memory-backend", false),
              ElementsAre("memory-backend-file", "memory-backend-memfd", "memory-backend-ram"));
  EXPECT_THAT(type_names("memory-backend", true), Contains("memory-backend"));
  EXPECT_THAT(type_names(std::nullopt, false), Contains("pc-q35-1.0-machine"));
  EXPECT_TRUE(type_names("nope", true).empty());
}

}  // namespace
}  // namespace godwit::vm
