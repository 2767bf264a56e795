actool_unit_test(run_native_test
  SOURCES native_capabilities_test.cc native_cgroup_test.cc native_channel_test.cc
          native_environment_test.cc native_mounts_test.cc native_net_test.cc native_options_test.cc
          native_plan_test.cc native_seccomp_test.cc native_security_test.cc native_streams_test.cc
          native_users_test.cc
  DEPS actool_native actool_native_net actool_run)
actool_unit_test(run_metadata_test SOURCES metadata_test.cc DEPS actool_metadata)
actool_unit_test(run_vm_test SOURCES vm_test.cc DEPS actool_vm actool_run)
