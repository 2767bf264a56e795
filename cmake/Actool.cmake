# How this project builds its libraries, tools and tests. Warnings are errors.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# What nothing refers to is left out of programs: each page of one is mapped whenever it starts.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG -ffunction-sections -fdata-sections")
set(CMAKE_EXE_LINKER_FLAGS_RELEASE "-Wl,--gc-sections")

set(ACTOOL_WARNINGS -Wall -Wextra -Wpedantic -Werror -Wnon-virtual-dtor
    -Wold-style-cast -Woverloaded-virtual -Wconversion -Wno-sign-conversion
    -Wimplicit-fallthrough -Wformat=2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # clang takes a lambda's parameter named like a member for shadowing too.
  list(APPEND ACTOOL_WARNINGS -Wshadow)
  # GCC 12 reports these inside the standard library itself once it inlines.
  list(APPEND ACTOOL_WARNINGS -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
       -Wno-array-bounds -Wno-stringop-overread -Wno-dangling-pointer)
endif()

add_compile_options(-fno-omit-frame-pointer -fstack-protector-strong)
add_link_options(-Wl,--as-needed -Wl,-z,relro -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
if(ACTOOL_SANITIZE)
  add_compile_options(-fsanitize=${ACTOOL_SANITIZE} -fno-sanitize-recover=all)
  if(ACTOOL_SANITIZE MATCHES "undefined")
    # A check of each pointer for what AddressSanitizer or the processor sees anyway doubles the
    # time to compile.
    add_compile_options(-fno-sanitize=null,alignment,object-size,vptr)
  endif()
  add_link_options(-fsanitize=${ACTOOL_SANITIZE})
endif()
if(ACTOOL_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Any clone of this tree on a machine profits from what another one compiled: paths count from
  # the tree's root. Precompiled headers need the relaxations, and a checksum of their own
  # beside them, as the compiled header itself differs from clone to clone.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1
      ${CCACHE_PROGRAM})
  if(ACTOOL_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
    string(SHA256 pch_sum "${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${ACTOOL_SANITIZE} 1")
    file(WRITE ${CMAKE_BINARY_DIR}/core/CMakeFiles/actool_base.dir/cmake_pch.hxx.gch.sum
         "${pch_sum}\n")
  endif()
endif()

# Tools and their links all land in one directory, as they do when installed, so that
# a tool finds its siblings the same way in both places.
set(ACTOOL_BIN_DIR ${CMAKE_BINARY_DIR}/bin)
set(ACTOOL_LIBEXEC_DIR ${CMAKE_INSTALL_LIBEXECDIR}/actool)

function(actool_common target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${ACTOOL_WARNINGS}>)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE ACTOOL_VERSION="${PROJECT_VERSION}")
  if(ACTOOL_PCH AND NOT target STREQUAL "actool_base")
    target_precompile_headers(${target} REUSE_FROM actool_base)
  endif()
endfunction()

# actool_library(NAME SOURCES a.cc ... [DEPS target ...]): a static library.
function(actool_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  actool_common(${name})
endfunction()

# The programs between a command and its app are linked statically where that can be: the dynamic
# linker is a good part of the run time of a program this short.
set(ACTOOL_STATIC OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT ACTOOL_SANITIZE AND NOT ACTOOL_COVERAGE)
  set(ACTOOL_STATIC ON)
endif()

# actool_link_statically(TARGET library ...): links the libraries, in the linker's order, and nothing
# dynamically. static-pie rather than static: with plain static the first exception sorts all unwind
# tables, 2 ms. By file, since the libraries' own dependencies are shared ones (OpenSSL) of which
# nothing in these programs uses anything: with a crypto function in one the link fails, which is right.
# It begins in program_start.cc, which maps at once what would come by a page fault each.
function(actool_link_statically target)
  target_link_libraries(${target} PRIVATE -static-pie -Wl,-z,pack-relative-relocs)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/core/base/program_start.cc)
    target_link_options(${target} PRIVATE -Wl,-e,actoolStart)
  endif()
  foreach(library IN LISTS ARGN)
    if(TARGET ${library})
      target_link_libraries(${target} PRIVATE $<TARGET_FILE:${library}>)
      target_include_directories(${target} PRIVATE
        $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
      add_dependencies(${target} ${library})
    else()
      target_link_libraries(${target} PRIVATE ${library})
    endif()
  endforeach()
endfunction()

# actool_tool(NAME SOURCES a.cc ... [DEPS ...] [STATIC library ...] [LINKS actool-x ...] [IN_BIN]): a
# program in the libexec directory, or in that for users' programs. STATIC lists the libraries that
# replace DEPS where it is linked statically. LINKS are the further subcommands that live in it:
# `actool x` execs `actool-x`, and the program looks at its own name to see which it is.
function(actool_tool name)
  cmake_parse_arguments(ARG "IN_BIN" "" "SOURCES;DEPS;STATIC;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_STATIC AND ACTOOL_STATIC)
    actool_link_statically(${name} ${ARG_STATIC})
  else()
    target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  endif()
  actool_common(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${ACTOOL_BIN_DIR})
  set(directory ${ACTOOL_LIBEXEC_DIR})
  set(from_link ${name})
  if(ARG_IN_BIN)
    set(directory ${CMAKE_INSTALL_BINDIR})
    file(RELATIVE_PATH from_link /${ACTOOL_LIBEXEC_DIR} /${CMAKE_INSTALL_BINDIR}/${name})
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${directory})
  foreach(link IN LISTS ARG_LINKS)
    add_custom_command(TARGET ${name} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E create_symlink ${name} ${ACTOOL_BIN_DIR}/${link})
    install(CODE "file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${ACTOOL_LIBEXEC_DIR}\")
      file(CREATE_LINK ${from_link} \
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${ACTOOL_LIBEXEC_DIR}/${link}\" SYMBOLIC)")
  endforeach()
endfunction()
