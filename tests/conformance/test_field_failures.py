"""Which tests guard against what went wrong in the original, by the numbers in the notes of its operators.

 1  messages without answers, answers that nobody saw
      test_p4_failure_1_a_burst_of_160_from_thirty_tabs_is_seen_and_answered_once
      test_p4_so_they_do_while_server_and_bots_are_killed_ten_times
 2  answers repeated after a restart
      test_p4_failure_2_a_bot_that_is_killed_and_started_again_answers_nothing_twice
      test_p3_a_holder_keeps_its_lease_when_the_clock_steps_back
 3  a message queued again while its answer is written
      test_p3_failure_3_five_bots_answer_a_slow_message_once_however_long_it_takes
 5  a window of messages that removed work
      test_p6_failure_5_no_work_is_lost_when_160_are_posted_at_once_and_20_are_kept
 6  the oldest kept instead of the newest
      test_p6_retention_removes_the_oldest_finished_messages_and_no_work
      test_p6_retention_keeps_the_last_finished_messages_and_all_unfinished_ones
 7  talks in one value that grew too large
      test_p4_failure_7_a_talk_of_long_messages_takes_posts_for_ever_and_each_costs_the_same
 9  one message posted twice
      test_p7_failure_9_the_same_post_twice_with_its_own_id_is_one_message
      test_p7_the_same_id_again_is_a_duplicate_and_adds_nothing
10  a claimed message whose bot died
      test_p4_leases_that_run_out_end_as_failed_with_the_reason_also_across_a_restart
      test_p3_two_bots_never_answer_the_same_message
11  a model that answers nothing
      test_p4_failure_11_a_model_that_answers_nothing_fails_with_a_reason
12  an entity that nobody serves
      test_p8_failure_12_an_entity_that_is_unknown_here_is_refused_with_those_that_are_known
      test_p4_an_unclaimed_message_fails_in_time_and_every_reader_sees_why
      test_p6_an_entity_that_nobody_serves_cannot_close_the_wall
      test_an_entity_that_nobody_serves_is_greyed_out_with_the_reason
13  answers by another entity
      test_p4_failure_13_an_entity_that_is_asked_answers_itself_while_others_are_busy
14  urgency upside down, and the rest starved
      test_p6_failure_14_the_most_urgent_are_those_with_the_lowest_priority
      test_p8_urgent_priorities_need_the_token
      test_p4_nobody_starves_behind_a_stream_of_urgent_posts
15  posts skipped in silence for coming too fast
      test_p8_posts_beyond_the_rate_are_refused_with_a_time_and_bots_are_not_counted
      test_p7_a_post_waits_as_long_as_the_server_asks_and_is_sent_then
16  a scaler's stops that used up the attempts
      test_p4_failure_16_stops_of_the_bot_cost_a_message_no_attempt
17  a cursor under another name, ignored
      test_p8_failure_17_a_cursor_under_another_name_is_refused_by_it
      test_p5_a_poll_brings_what_is_newer_than_after_newest_first
18  an AI's post taken for a person's
      test_p8_failure_18_the_type_of_a_message_under_another_name_is_refused_by_it
      test_an_ai_post_is_never_work
      test_p8_an_ai_post_and_every_queue_call_need_the_token
19  hundreds of polls
      test_polls_without_news_become_rarer_from_every_5_to_every_30_seconds
      test_p5_a_page_that_gets_no_etags_misses_nothing_and_makes_pauses
20  a tab that woke after minutes
      test_coming_back_to_the_page_polls_at_once_and_then_every_5_seconds
21  strangers in a filtered view
      test_a_talk_stays_alone_and_live_while_others_talk
      test_a_filter_holds_for_messages_that_come_later
22  an old build until a hard reload
      test_assets_are_immutable_under_an_address_that_changes_with_them
      test_a_page_that_has_not_changed_is_not_sent_again
23  tabs of an old version
      test_an_older_tab_says_so_and_its_button_loads_the_new_page_with_the_draft
      test_an_older_tab_reloads_itself_when_nobody_uses_it
24  polls in the way of an answer
      test_p4_a_post_wakes_the_claim_that_has_waited_longest_and_no_other
      test_an_idle_bot_has_one_long_poll_and_makes_no_other_call
25  the clocks of clients
      test_p8_failure_25_the_clock_of_a_client_is_refused_by_name
      test_p5_the_clock_of_a_page_is_understood_and_not_used
      test_p5_paging_skips_nothing_though_the_clock_stands_still_or_steps_back
26  lists upside down, and slower the longer
      test_p5_messages_that_arrive_in_any_order_and_way_make_the_same_list
      test_p5_a_very_long_wall_is_read_to_its_beginning_with_few_rows
28  a page that did not begin
      test_a_browser_that_forbids_storage_shows_and_posts_all_the_same
      test_without_javascript_the_page_shows_that_it_needs_it
29  a model that loads for minutes
      test_p4_failure_29_a_cold_model_is_waited_for_and_loads_once
      test_p4_failure_29_llama_cpp_is_asked_again_until_it_has_loaded
30  all behind one that loads or fails
      test_p4_failure_30_a_model_that_fails_does_not_silence_its_neighbour_on_the_same_server
      test_p4_a_provider_that_hangs_does_not_keep_others_from_answering
32  a talk that outgrew the window
      test_p4_failure_32_a_talk_that_outgrows_the_window_goes_on
      test_p4_failure_32_a_question_that_exceeds_the_window_alone_is_answered
      test_failure_32_a_window_that_the_server_tells_is_never_exceeded
      test_p4_failure_32_a_server_that_counts_many_more_tokens_is_believed
33  templates that want alternating roles
      test_p4_failure_33_roles_alternate_whatever_the_talk_has
      test_p4_failure_33_roles_alternate_for_an_entity_that_reads_the_whole_wall
34  a fact that was forgotten
      test_failure_34_a_fact_is_remembered_whatever_others_say_in_between
      test_failure_34_so_it_is_in_a_burst_of_thirty
      test_failure_34_a_fact_is_remembered_by_a_server_and_a_bot_that_were_killed
      test_failure_34_a_fact_of_the_first_of_170_turns_is_known_in_the_last
      test_failure_34_a_message_to_anyone_joins_the_talk_that_its_author_had_last
      test_failure_34_what_a_client_sends_as_context_is_remembered_for_that_answer_alone
      test_a_fact_outlives_170_turns_and_1800_other_talks_in_a_window_of_1024_tokens
35  strangers' words in a talk
      test_failure_35_nobody_reads_a_strangers_words_in_a_talk
      test_failure_35_a_session_is_a_talk_of_its_own
36  dull answers
      test_failure_36_the_request_is_system_then_alternating_roles_with_all_parameters
37  a model that plays both sides
      test_failure_37_what_a_model_writes_for_the_other_side_is_cut_off
      test_failure_37_names_of_either_side_end_an_answer
38  answers under the wrong name
      test_failure_38_an_answer_appears_under_the_name_that_the_post_asks_for
      test_p8_failure_38_such_a_name_is_refused_where_the_entity_does_not_allow_it
40  reads and writes that grow with the wall
      test_failure_40_a_round_trip_costs_the_same_on_a_wall_of_any_size
      test_p6_no_call_costs_more_as_the_backlog_grows

Numbers that are left out are not failures of a server, a bot or a page. The notes have more without a number: apologies for
errors that were posted as answers (test_p4_no_apology_for_an_error_is_posted_as_an_answer), a store in memory that was lost
(test_p1_every_acknowledged_post_survives), several answers to one question (test_p4_a_second_reply_gets_the_first_one), one
long answer that kept all others waiting (test_p4_a_provider_that_hangs_does_not_keep_others_from_answering), and answers
without an end (test_p4_an_endless_answer_is_cut).
"""

import re

from documents import names_of_tests

NUMBERS = {*range(1, 41)} - {4, 8, 27, 31, 39}
"""Of failures that were written down."""


def test_every_failure_has_a_test_that_exists() -> None:
    text = __doc__ or ""
    assert {int(number) for number in re.findall(r"^ ?(\d+)  \w", text, re.MULTILINE)} == NUMBERS
    named = set(re.findall(r"\btest_\w+", text)) - {"test_field_failures"}
    assert named - {*names_of_tests("tests"), *names_of_tests("torture")} == set()


def test_every_test_of_a_failure_is_in_the_table() -> None:
    table = re.findall(r"^ ?(\d+)  (?:.*)\n((?: {6}test_\w+\n)+)", __doc__ or "", re.MULTILINE)
    listed = {name for number, names in table for name in re.findall(rf"test\w*_failure_{number}_\w+", names)}
    tests = [name for name in names_of_tests("tests") if re.search(r"(?:^test|_p\d)_failure_\d", name)]
    assert {*tests} - listed == set()
