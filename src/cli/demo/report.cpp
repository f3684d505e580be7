#include "cli/demo/report.h"

#include <cmath>
#include <fmt/format.h>

#include "cli/quantity.h"

namespace godwit::cli::demo {

namespace json = boost::json;

namespace {

std::string pages_text(std::uint64_t count) {
  return count_text(count) + (count == 1 ? " page" : " pages");
}

void add_page_problems(const PageCheck& check, std::string_view which, std::vector<std::string>& problems) {
  if (check.bad_pages == 0) return;
  problems.push_back(fmt::format("{} of {} {} {} wrong: {}", count_text(check.bad_pages),
                                 pages_text(check.pages), which, check.bad_pages == 1 ? "is" : "are",
                                 check.first_bad));
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

json::object setup_json(const Report& report) {
  const auto& options = report.options;
  const auto side = [](const std::string& vmm, const std::string& version, int pid) {
    return json::object{{"vmm", view(vmm)}, {"version", view(version)}, {"pid", pid}};
  };
  return {{"source", side(options.source_vmm, report.source_version, report.source_pid)},
          {"destination", side(options.destination_vmm, report.destination_version, report.destination_pid)},
          {"accel", view(to_string(options.accelerator))},
          {"transport", view(to_string(options.transport))},
          {"uri", view(report.uri)},
          {"ram-bytes", options.ram_bytes},
          {"filled-bytes", report.parameters.fill_pages * page_bytes},
          {"hot-bytes", report.parameters.hot_pages * page_bytes},
          {"dirty-rate-limit", options.dirty_rate},
          {"bandwidth-limit", options.bandwidth.value_or(0)},
          {"downtime-limit-ms", options.downtime_limit_ms}};
}

json::object move_json(const MoveResult& move) {
  json::object object{{"status", view(move.status)},
                      {"completed", move.completed},
                      {"total-ms", move.total_ms},
                      {"setup-ms", move.setup_ms},
                      {"passes", move.ram.dirty_sync_count},
                      {"transferred-bytes", move.ram.transferred},
                      {"remaining-bytes", move.ram.remaining},
                      {"normal-pages", move.ram.normal},
                      {"zero-pages", move.ram.duplicate},
                      {"megabits-per-second", rounded(move.ram.mbps)}};
  if (move.completed) object["downtime-ms"] = move.downtime_ms;
  if (move.stop_to_resume_ms) object["stop-to-resume-ms"] = rounded(*move.stop_to_resume_ms);
  return object;
}

json::object guest_json(const Report& report) {
  json::object object{{"fill-seconds", rounded(report.fill_seconds)},
                      {"written-bytes-per-second", std::round(report.written_bytes_per_second)},
                      {"clock-ticks-per-second", std::round(report.ticks_per_second)}};
  if (report.findings) {
    const auto& blackout = report.findings->blackout;
    object["blackout-ms"] = rounded(blackout.switch_ms);
    object["longest-gap-ms"] = rounded(blackout.longest_ms);
    object["hidden-from-its-clock-ms"] = rounded(blackout.hidden_ms);
    object["gaps"] = blackout.gaps;
    object["runs-on"] = report.findings->runs_on;
  }
  if (report.runs_on_source) object["runs-on-at-the-source"] = *report.runs_on_source;
  return object;
}

json::object checks_json(const Findings& findings) {
  const auto pages = [](const PageCheck& check) {
    return json::object{{"pages", check.pages}, {"bad-pages", check.bad_pages}};
  };
  return {{"page-writes", findings.page_writes},
          {"words-checked-by-guest", findings.guest_checked_words},
          {"words-wrong", findings.guest_errors},
          {"static-pages-checked-by-guest", findings.static_pages},
          {"static-pages-checked-from-outside", pages(findings.sampled)},
          {"hot-pages-checked-from-outside", pages(findings.hot)}};
}

std::string_view headline(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "Nothing was lost.";
    case Verdict::lost:
      return "The move did harm.";
    case Verdict::not_moved:
      return "The guest did not move.";
    case Verdict::unknown:
      return "The demo did not get to its end.";
  }
  return "";
}

std::string standstill_text(const Report& report) {
  const auto& blackout = report.findings->blackout;
  auto text = fmt::format("{} by the guest's own clock; the source reported {} ms",
                          milliseconds_text(blackout.switch_ms), report.move->downtime_ms);
  if (report.options.transport == Transport::file) text += " without the loading";
  return text;
}

std::vector<std::string> found_lines(const Report& report, const Canvas& canvas) {
  const auto& move = *report.move;
  const auto& findings = *report.findings;
  const auto row = [&](std::string_view label, const std::string& text) {
    return "  " + styled(fmt::format("{:<13}", label), Style::bold, canvas) + text;
  };
  return {
      row("moved in",
          fmt::format("{}, {} passes, {} sent over {}", milliseconds_text(static_cast<double>(move.total_ms)),
                      move.ram.dirty_sync_count, size_text(static_cast<double>(move.ram.transferred)),
                      to_string(report.options.transport))),
      row("stood still", standstill_text(report)),
      row("rewritten",
          fmt::format("{} (at {} before the move); before each the guest compared every word with what it "
                      "had left there: {} wrong",
                      pages_text(findings.page_writes), rate_text(report.written_bytes_per_second),
                      count_text(findings.guest_errors))),
      row("hot pages", fmt::format("{}, every word from outside: {} wrong", pages_text(findings.hot.pages),
                                   count_text(findings.hot.bad_pages))),
      row("other pages", fmt::format("{}, every word by the guest; {} of them from outside too: {} wrong",
                                     pages_text(findings.static_pages), count_text(findings.sampled.pages),
                                     count_text(findings.sampled.bad_pages)))};
}

}  // namespace

std::vector<std::string> problems(const Report& report) {
  std::vector<std::string> problems;
  if (!report.error.empty()) problems.push_back(report.error);
  if (report.runs_on_source && !*report.runs_on_source)
    problems.emplace_back("the guest does not run on at the source as it has to after a move that failed");
  if (!report.findings) return problems;
  const auto& findings = *report.findings;
  if (!findings.runs_on) problems.emplace_back("the guest does not run at the destination");
  if (findings.guest_errors != 0)
    problems.push_back(fmt::format("the guest found {} of its words changed: a write was lost, or undone",
                                   count_text(findings.guest_errors)));
  add_page_problems(findings.hot, "that it rewrites", problems);
  add_page_problems(findings.sampled, "that it wrote once", problems);
  return problems;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::lost:
      return "lost";
    case Verdict::not_moved:
      return "not-moved";
    case Verdict::unknown:
      return "unknown";
  }
  return "";
}

Verdict verdict(const Report& report) {
  if (report.findings) return problems(report).empty() ? Verdict::ok : Verdict::lost;
  if (report.move && !report.move->completed)
    return report.runs_on_source.value_or(false) ? Verdict::not_moved : Verdict::lost;
  return Verdict::unknown;
}

json::object to_json(const Report& report) {
  json::object object{{"verdict", view(to_string(verdict(report)))}};
  json::array found;
  for (const auto& problem : problems(report)) found.emplace_back(view(problem));
  object["problems"] = std::move(found);
  object["setup"] = setup_json(report);
  object["guest"] = guest_json(report);
  if (report.move) object["migration"] = move_json(*report.move);
  if (report.findings) object["checks"] = checks_json(*report.findings);
  return object;
}

std::vector<std::string> summary(const Report& report, const Canvas& canvas) {
  std::vector<std::string> lines{""};
  const auto found = problems(report);
  if (report.findings) {
    const auto details = found_lines(report, canvas);
    lines.insert(lines.end(), details.begin(), details.end());
    lines.emplace_back();
  }
  if (found.empty()) {
    lines.push_back(styled(
        fmt::format("{} The guest runs on in process {}.", headline(Verdict::ok), report.destination_pid),
        Style::good, canvas));
    return lines;
  }
  lines.push_back(styled(headline(verdict(report)), Style::bad, canvas));
  for (const auto& problem : found) lines.push_back("  " + problem);
  if (report.runs_on_source.value_or(false))
    lines.emplace_back("  The guest runs on where it was, unharmed.");
  return lines;
}

}  // namespace godwit::cli::demo
