# What `cmake --install` adds to the binaries: manual pages and completion made from the tools' own
# descriptions, systemd units, example configuration, documents. actool_finish() is called when
# every tool is known.
set(ACTOOL_PAGES
  actool-discover actool-fetch actool-trust actool-verify actool-image actool-build actool-bundle
  actool-validate actool-patch-manifest actool-cat-manifest actool-run actool-list actool-status actool-stop
  actool-rm actool-gc actool-seed actool-torrent actool-mirror
  actool-prepare actool-run-prepared actool-enter actool-export actool-config actool-app
  actool-attach actool-logs actool-machine)
set(ACTOOL_MAN_DIR ${CMAKE_BINARY_DIR}/man)
set(ACTOOL_MAN_FILES)
foreach(page IN LISTS ACTOOL_PAGES)
  set(file ${ACTOOL_MAN_DIR}/${page}.1)
  add_custom_command(OUTPUT ${file}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${ACTOOL_MAN_DIR}
    COMMAND ${ACTOOL_BIN_DIR}/${page} --help-man > ${file}
    DEPENDS actool-discover actool-fetch actool-trust actool-image actool-p2p actool-mirror
            actool actool-machine)
  list(APPEND ACTOOL_MAN_FILES ${file})
endforeach()
add_custom_command(OUTPUT ${ACTOOL_MAN_DIR}/actool.1
  COMMAND ${ACTOOL_BIN_DIR}/actool --help-man > ${ACTOOL_MAN_DIR}/actool.1
  DEPENDS actool ${ACTOOL_MAN_FILES})
if(NOT ACTOOL_SANITIZE)
  add_custom_target(manual ALL DEPENDS ${ACTOOL_MAN_FILES} ${ACTOOL_MAN_DIR}/actool.1)
  install(DIRECTORY ${ACTOOL_MAN_DIR}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

install(FILES share/actool.bash-completion
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME actool)
install(FILES share/actool-gc.service share/actool-gc.timer share/actool-mirror@.service
              share/actool-mirror@.timer
              share/actool-seed.service DESTINATION lib/systemd/system)
install(DIRECTORY share/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
