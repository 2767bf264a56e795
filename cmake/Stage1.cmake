# actool_stage1(NAME ENTRIES run enter gc stop SOURCES main.cc DEPS ... [STATIC lib...]
# [DIRECTORIES dir...]): a built-in stage1, laid out as an unpacked image in the build tree and
# installed the same way: a manifest (`manifest.in` of the calling folder) and one program with
# several names. STATIC lists the static libraries that replace DEPS in release builds; then nothing
# is linked dynamically. DIRECTORIES are empty: what is mounted there needs no directory made in
# every pod, each of which takes a file system's journal 0.1 ms.
set(ACTOOL_STAGE1_ARCH_LABEL "")
foreach(pair "x86_64=amd64" "aarch64=aarch64" "i686=i386" "ppc64le=ppc64le" "s390x=s390x")
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 machine)
  list(GET pair 1 arch)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL machine)
    set(ACTOOL_STAGE1_ARCH_LABEL ",\n        {\"name\": \"arch\", \"value\": \"${arch}\"}")
  endif()
endforeach()

function(actool_stage1 name)
  cmake_parse_arguments(ARG "" "" "ENTRIES;SOURCES;DEPS;STATIC;DIRECTORIES" ${ARGN})
  set(dir ${ACTOOL_BIN_DIR}/stage1/${name})
  set(target actool_stage1_${name})
  set(STAGE1_ARCH_LABEL "${ACTOOL_STAGE1_ARCH_LABEL}")
  configure_file(manifest.in ${dir}/manifest @ONLY)

  add_executable(${target} ${ARG_SOURCES})
  actool_common(${target})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME run RUNTIME_OUTPUT_DIRECTORY ${dir}/rootfs)
  if(ARG_STATIC AND ACTOOL_STATIC)
    actool_link_statically(${target} ${ARG_STATIC})
  else()
    target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  endif()

  install(TARGETS ${target} RUNTIME DESTINATION ${ACTOOL_LIBEXEC_DIR}/stage1/${name}/rootfs)
  install(FILES ${dir}/manifest DESTINATION ${ACTOOL_LIBEXEC_DIR}/stage1/${name})
  foreach(directory IN LISTS ARG_DIRECTORIES)
    file(MAKE_DIRECTORY ${dir}/rootfs/${directory})
    install(DIRECTORY DESTINATION ${ACTOOL_LIBEXEC_DIR}/stage1/${name}/rootfs/${directory})
  endforeach()
  # Hard links: stage0 resolves symbolic links, and the program would not learn its name.
  list(REMOVE_ITEM ARG_ENTRIES run)
  foreach(entry IN LISTS ARG_ENTRIES)
    add_custom_command(TARGET ${target} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E rm -f ${dir}/rootfs/${entry}
      COMMAND ${CMAKE_COMMAND} -E create_hardlink ${dir}/rootfs/run ${dir}/rootfs/${entry})
    install(CODE "set(dir \
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${ACTOOL_LIBEXEC_DIR}/stage1/${name}/rootfs\")
      file(CREATE_LINK \"\${dir}/run\" \"\${dir}/${entry}\")")
  endforeach()
endfunction()
